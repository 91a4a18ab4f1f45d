-- → succeeded: an effect is an effect, from whatever epoch, while the call is not settled.
UPDATE onceward.call SET state = 'succeeded', result = CAST(:result AS jsonb), provider_ref = :provider_ref,
       undo_request = :undo_request, difference = :difference, due_at = NULL, error_code = NULL, error_text = NULL,
       settled_at = clock_timestamp(), settled_by = :settled_by, resolution_id = coalesce(CAST(:resolution_id AS uuid), resolution_id), asked = NULL, version = version + 1
 WHERE id = :id AND settled_at IS NULL
RETURNING flow_id, CASE WHEN pivot AND undoes IS NULL THEN step END AS pivot_step
