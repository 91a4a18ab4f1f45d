-- What was decided of late, the newest first.
SELECT r.*, coalesce(c.provider || '/' || c.operation, f.name) AS name, coalesce(c.ref, f.key) AS ref
  FROM onceward.resolution_shown r LEFT JOIN onceward.call c ON c.id = r.call_id LEFT JOIN onceward.flow f ON f.id = r.flow_id
 WHERE r.decided_at IS NOT NULL AND r.state <> 'approved' ORDER BY r.decided_at DESC LIMIT %(limit)s
