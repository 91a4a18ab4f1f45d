-- The flows that open incidents are about, or whose calls they are about, the oldest first, with the money of their largest call if all are in one currency.
SELECT f.id, f.version, f.name, f.key AS ref, m.amount, m.currency
  FROM (SELECT DISTINCT ON (i.flow_id) i.flow_id, i.opened_at FROM onceward.incident i
         WHERE i.closed_at IS NULL AND i.flow_id IS NOT NULL
           AND (%(snoozed)s OR i.snoozed_until IS NULL OR i.snoozed_until <= clock_timestamp())
           AND (%(group)s::text IS NULL OR left(i.grp, 200) = left(%(group)s::text, 200) AND i.grp = %(group)s)
           AND (%(kind)s::text IS NULL OR i.kind = %(kind)s)
           AND (%(severity)s::int IS NULL OR i.severity = %(severity)s)
           AND (%(provider)s::text IS NULL OR i.call_id IS NOT NULL AND starts_with(i.grp, %(provider)s::text || '/'))
           AND (%(ref)s::text IS NULL OR i.ref = %(ref)s)
           AND (%(assignee)s::text IS NULL OR onceward.person(i.assignee) = onceward.person(%(assignee)s))
           AND (NOT %(free)s OR i.assignee IS NULL)
         ORDER BY i.flow_id, i.opened_at) i
  JOIN onceward.flow f ON f.id = i.flow_id,
       LATERAL (SELECT CASE WHEN count(DISTINCT c.currency) = 1 THEN max(c.amount) END AS amount, CASE WHEN count(DISTINCT c.currency) = 1 THEN min(c.currency) END AS currency
                  FROM onceward.call c WHERE c.flow_id = f.id AND c.undoes IS NULL AND c.state = 'succeeded') m
 ORDER BY i.opened_at, f.id LIMIT %(limit)s
