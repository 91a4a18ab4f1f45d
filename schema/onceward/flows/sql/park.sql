-- Lets a flow wait for a signal. If one came since the run looked, it is due again at once: no wake-up is lost.
UPDATE onceward.flow
   SET state = CASE WHEN signals = :signals THEN 'waiting' ELSE 'running' END,
       due_at = CASE WHEN signals = :signals THEN NULL ELSE clock_timestamp() END,
       failures = 0, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING state
