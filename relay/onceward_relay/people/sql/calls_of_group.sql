-- The calls that open incidents of a group are about, the oldest first, with what is in the way of a verb.
SELECT c.id, c.version, c.provider || '/' || c.operation AS name, c.ref, c.amount, c.currency, v.allowed, v.why
  FROM (SELECT DISTINCT ON (call_id) call_id, opened_at FROM onceward.incident
         WHERE left(grp, 200) = left(%(group)s, 200) AND grp = %(group)s AND closed_at IS NULL AND call_id IS NOT NULL ORDER BY call_id, opened_at) i
  JOIN onceward.call c ON c.id = i.call_id, LATERAL onceward.verbs_of_call(c.id) v
 WHERE v.verb = %(verb)s ORDER BY i.opened_at, c.id LIMIT %(limit)s
