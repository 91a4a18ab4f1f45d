-- All of a flow is undone: what stood in the way, call by call, is settled.
UPDATE onceward.incident SET closed_at = clock_timestamp(), closed_by = :by
 WHERE kind = 'undo_failed' AND flow_id = :id AND closed_at IS NULL
