-- Has a failed run repeated later.
UPDATE onceward.flow
   SET due_at = clock_timestamp() + make_interval(secs => :wait), failures = failures + 1, error = :error, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING id
