-- in_doubt, accepted → failed: who can know says that it took no effect, and no attempt can take effect any more.
UPDATE onceward.call SET state = 'failed', due_at = NULL, asked = NULL, error_code = :code, error_text = :text,
       settled_at = clock_timestamp(), settled_by = :settled_by, resolution_id = coalesce(CAST(:resolution_id AS uuid), resolution_id), version = version + 1
 WHERE id = :id AND state IN ('in_doubt', 'accepted') AND clock_timestamp() > send_by + :timeout + CAST(:settle AS interval)
RETURNING flow_id, NULL AS pivot_step
