-- Decisions that are open and belong to no batch, the oldest first.
SELECT r.*, coalesce(c.provider || '/' || c.operation, f.name) AS name, coalesce(c.ref, f.key) AS ref, onceward.person(r.proposed_by) = onceward.person(%(person)s) AS mine
  FROM onceward.resolution_shown r LEFT JOIN onceward.call c ON c.id = r.call_id LEFT JOIN onceward.flow f ON f.id = r.flow_id
 WHERE r.state IN ('proposed', 'approved') AND r.batch_id IS NULL ORDER BY r.proposed_at, r.id LIMIT %(limit)s
