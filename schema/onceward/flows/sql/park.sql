-- Lets a flow wait for a signal or until a time. If a signal came since the run looked, it is due again at once: no wake-up is lost.
UPDATE onceward.flow
   SET state = CASE WHEN signals = :signals THEN 'waiting' ELSE 'running' END,
       due_at = CASE WHEN signals = :signals THEN CAST(:until AS timestamptz) ELSE clock_timestamp() END,
       failures = 0, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING state
