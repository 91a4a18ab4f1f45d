-- A message for each flow, taken if the flow has ended.
INSERT INTO onceward.signal (flow_name, flow_key, type, message_id, topic, body, arrived_at, noticed, taken_by, taken_at)
SELECT f.name, f.key, 'Answer', md5('message ' || f.key)::uuid, 'answers', '{}', f.created_at, true,
       CASE WHEN f.ended_at IS NOT NULL THEN 'Answer' END, f.ended_at
  FROM onceward.flow f
