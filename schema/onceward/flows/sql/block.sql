-- Leaves a flow to a person.
UPDATE onceward.flow
   SET state = 'blocked', due_at = NULL, failures = failures + 1, error = :error, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING id
