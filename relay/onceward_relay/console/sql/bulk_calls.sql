-- The calls that open incidents are about, the oldest first.
SELECT c.id, c.version, c.provider || '/' || c.operation AS name, c.ref, c.amount, c.currency
  FROM (SELECT DISTINCT ON (i.call_id) i.call_id, i.opened_at FROM onceward.incident i
         WHERE i.closed_at IS NULL AND i.call_id IS NOT NULL
           AND (%(snoozed)s OR i.snoozed_until IS NULL OR i.snoozed_until <= clock_timestamp())
           AND (%(group)s::text IS NULL OR left(i.grp, 200) = left(%(group)s::text, 200) AND i.grp = %(group)s)
           AND (%(kind)s::text IS NULL OR i.kind = %(kind)s)
           AND (%(severity)s::int IS NULL OR i.severity = %(severity)s)
           AND (%(provider)s::text IS NULL OR starts_with(i.grp, %(provider)s::text || '/'))
           AND (%(ref)s::text IS NULL OR i.ref = %(ref)s)
           AND (%(assignee)s::text IS NULL OR onceward.person(i.assignee) = onceward.person(%(assignee)s))
           AND (NOT %(free)s OR i.assignee IS NULL)
         ORDER BY i.call_id, i.opened_at) i
  JOIN onceward.call c ON c.id = i.call_id
 ORDER BY i.opened_at, c.id LIMIT %(limit)s
