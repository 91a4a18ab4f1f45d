-- Decisions, the oldest first, with what they are about.
SELECT r.*, coalesce(c.provider || '/' || c.operation, f.name) AS name, coalesce(c.ref, f.key) AS ref, clock_timestamp() AS now
  FROM onceward.resolution_shown r LEFT JOIN onceward.call c ON c.id = r.call_id LEFT JOIN onceward.flow f ON f.id = r.flow_id
 WHERE r.state = ANY(%(states)s) AND (%(batch)s::uuid IS NULL OR r.batch_id = %(batch)s) ORDER BY r.proposed_at, r.id LIMIT %(limit)s
