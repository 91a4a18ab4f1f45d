-- Nothing automatic is left.
UPDATE onceward.call SET due_at = NULL, asked = NULL, version = version + 1 WHERE id = :id AND state IN ('in_doubt', 'accepted') AND due_at IS NOT NULL
