-- Gives a claim back.
UPDATE onceward.flow SET due_at = clock_timestamp(), version = version + 1 WHERE id = :id AND epoch = :epoch AND state = 'running'
RETURNING id
