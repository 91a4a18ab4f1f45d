-- The flows that open incidents of a group are about, the oldest first, with what is in the way of a verb.
SELECT f.id, f.version, f.name, f.key AS ref, NULL::numeric AS amount, NULL AS currency, v.allowed, v.why
  FROM (SELECT DISTINCT ON (flow_id) flow_id, opened_at FROM onceward.incident
         WHERE left(grp, 200) = left(%(group)s, 200) AND grp = %(group)s AND closed_at IS NULL AND flow_id IS NOT NULL ORDER BY flow_id, opened_at) i
  JOIN onceward.flow f ON f.id = i.flow_id, LATERAL onceward.verbs_of_flow(f.id) v
 WHERE v.verb = %(verb)s ORDER BY i.opened_at, f.id LIMIT %(limit)s
