-- The decision that has been due for longest and whose call this worker has the code of.
-- It is not locked: its call or flow is, next, and it is looked at again when its end is written.
SELECT r.id, r.verb, r.call_id, r.flow_id, r.seen_version, r.amount, r.currency, r.reason, r.evidence_id, r.decided_by,
       (r.body -> 'result')::text AS result, (r.body -> 'request')::text AS request
  FROM onceward.resolution r LEFT JOIN onceward.call c ON c.id = r.call_id
 WHERE r.state = 'approved' AND r.not_before <= statement_timestamp()
   AND (r.flow_id IS NOT NULL
        OR (c.provider, c.operation) IN (SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:operations AS text[]))))
 ORDER BY r.not_before LIMIT 1
