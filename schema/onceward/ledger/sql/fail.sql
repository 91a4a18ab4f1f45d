-- in_flight → failed: refused, and no attempt before can have taken effect.
UPDATE onceward.call SET state = 'failed', ambiguous = false, due_at = NULL, error_code = :code, error_text = :text,
       settled_at = clock_timestamp(), settled_by = 'answer', version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'in_flight' AND (NOT ambiguous OR :rejects_final)
RETURNING flow_id, NULL AS pivot_step
