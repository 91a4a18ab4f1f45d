-- A lookup proved nothing: ask again later.
UPDATE onceward.call SET due_at = clock_timestamp() + :delay, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'in_doubt'
RETURNING due_at
