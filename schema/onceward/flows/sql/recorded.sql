-- The steps of a flow that earlier runs recorded. What undoes a call is no step of the code.
SELECT step, kind, fingerprint, result::text AS result, until, coalesce(until <= clock_timestamp(), false) AS over, NULL AS provider, NULL AS operation
  FROM onceward.flow_step WHERE flow_id = :id
UNION ALL
SELECT step, 'call', NULL, NULL, NULL, false, provider, operation
  FROM onceward.call WHERE flow_id = :id AND take = 1 AND undoes IS NULL
