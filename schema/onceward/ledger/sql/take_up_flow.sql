-- blocked, waiting, running → running: it is due, whatever a worker is doing with it loses its claim, and it looks at its steps anew.
UPDATE onceward.flow SET state = 'running', due_at = clock_timestamp(), epoch = epoch + 1, signals = signals + 1, failures = 0, version = version + 1
 WHERE id = :flow_id AND ended_at IS NULL
RETURNING id
