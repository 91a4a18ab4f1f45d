-- Keeps a message for a flow and wakes it. A flow that another transaction holds is told later, by whoever looks: no message waits for a flow.
-- What the step that takes it could not keep as JSON is refused here, with an error, where it only sets the message aside.
WITH told AS (
  UPDATE onceward.flow SET signals = signals + 1, version = version + 1,
         due_at = CASE WHEN state = 'waiting' THEN clock_timestamp() ELSE due_at END,
         state = CASE WHEN state = 'waiting' THEN 'running' ELSE state END
   WHERE id = (SELECT id FROM onceward.flow WHERE name = :flow_name AND key = :flow_key AND ended_at IS NULL
                  FOR NO KEY UPDATE SKIP LOCKED)
  RETURNING id)
INSERT INTO onceward.signal (flow_name, flow_key, type, message_id, topic, body, noticed)
SELECT :flow_name, :flow_key, :type, :message_id, :topic, :body, EXISTS (SELECT FROM told)
 WHERE CAST(convert_from(:body, 'UTF8') AS jsonb) IS NOT NULL
ON CONFLICT DO NOTHING
RETURNING noticed
