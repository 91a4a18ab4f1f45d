-- Ends a flow whose code has come to its end.
UPDATE onceward.flow
   SET state = 'completed', due_at = NULL, ended_at = clock_timestamp(), failures = 0, error = NULL, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running' AND NOT undoing
RETURNING id
