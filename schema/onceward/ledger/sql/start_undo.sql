-- → undoing: the pivot is not passed, and cannot be passed any more. The flow's row is locked, so that none of its calls begins meanwhile.
UPDATE onceward.flow f
   SET undoing = true, undo_reason = :reason, resolution_id = coalesce(CAST(:resolution_id AS uuid), f.resolution_id),
       state = 'running', due_at = clock_timestamp(), ended_at = NULL, epoch = f.epoch + 1, failures = 0, version = f.version + 1
 WHERE f.id = :flow_id AND NOT f.undoing AND f.state <> 'closed' AND f.pivot_step IS NULL
   AND NOT EXISTS (SELECT FROM onceward.call c WHERE c.flow_id = f.id AND c.pivot AND c.undoes IS NULL AND c.state NOT IN ('failed', 'cancelled'))
RETURNING f.id
