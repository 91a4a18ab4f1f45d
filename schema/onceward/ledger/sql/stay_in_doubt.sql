-- A lookup proved nothing: ask again later. Nothing has changed by which a person decides.
UPDATE onceward.call SET due_at = clock_timestamp() + :delay
 WHERE id = :id AND epoch = :epoch AND state = 'in_doubt'
RETURNING due_at
