-- Moves the end of the lease, unless the claim is lost.
UPDATE onceward.flow SET due_at = clock_timestamp() + make_interval(secs => :lease), version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING signals
