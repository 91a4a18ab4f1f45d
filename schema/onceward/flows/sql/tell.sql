-- Tells a flow that a message has come.
UPDATE onceward.flow SET signals = signals + 1, version = version + 1,
       due_at = CASE WHEN state = 'waiting' THEN clock_timestamp() ELSE due_at END,
       state = CASE WHEN state = 'waiting' THEN 'running' ELSE state END
 WHERE id = :id AND ended_at IS NULL
