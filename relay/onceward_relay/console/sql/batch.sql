-- The decisions of a batch that wait for another person, the oldest first.
SELECT r.id, r.call_id, r.flow_id, r.verb, r.body, r.amount, r.currency, r.reason, r.state, r.proposed_by, r.proposed_at,
       coalesce(c.provider || '/' || c.operation, f.name) AS name, coalesce(c.ref, f.key) AS ref, e.kind, e.reference, clock_timestamp() AS now
  FROM onceward.resolution_shown r LEFT JOIN onceward.call c ON c.id = r.call_id LEFT JOIN onceward.flow f ON f.id = r.flow_id
  LEFT JOIN onceward.evidence e ON e.id = r.evidence_id
 WHERE r.batch_id = %(id)s AND r.state = ANY (%(states)s) ORDER BY r.proposed_at, r.id LIMIT %(limit)s
