UPDATE onceward.evidence SET call_id = coalesce(call_id, CAST(:call_id AS uuid)), handled_at = clock_timestamp() WHERE id = :id
