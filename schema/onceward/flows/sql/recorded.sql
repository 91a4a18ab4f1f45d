-- The steps of a flow that earlier runs recorded.
SELECT step, kind, fingerprint, result::text AS result, NULL AS provider, NULL AS operation
  FROM onceward.flow_step WHERE flow_id = :id
UNION ALL
SELECT step, 'call', NULL, NULL, provider, operation
  FROM onceward.call WHERE flow_id = :id AND take = 1
