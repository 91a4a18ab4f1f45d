-- Ends a flow whose effects are all reversed, in the transaction of its undo handler.
UPDATE onceward.flow
   SET state = 'undone', due_at = NULL, ended_at = clock_timestamp(), failures = 0, error = NULL, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running' AND undoing
RETURNING id
