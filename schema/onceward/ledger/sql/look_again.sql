-- The older a report is, the more seldom.
UPDATE onceward.evidence SET call_id = coalesce(call_id, CAST(:call_id AS uuid)),
       due_at = clock_timestamp() + greatest(interval '1 s', least(interval '1 h', (clock_timestamp() - at) / 10))
 WHERE id = :id
