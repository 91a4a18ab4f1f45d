-- Open incidents, the most severe and oldest first, page after page by the last that was seen.
SELECT i.id, i.kind, i.call_id, i.flow_id, i.message_id, i.grp, i.severity, i.title, i.ref, i.amount, i.currency, i.opened_at, i.times, i.act_before, i.assignee,
       i.snoozed_until
  FROM onceward.incident i
 WHERE i.closed_at IS NULL AND (%(snoozed)s OR i.snoozed_until IS NULL OR i.snoozed_until <= clock_timestamp())
   AND (%(group)s::text IS NULL OR left(i.grp, 200) = left(%(group)s::text, 200) AND i.grp = %(group)s)
   AND (%(kind)s::text IS NULL OR i.kind = %(kind)s)
   AND (%(severity)s::int IS NULL OR i.severity = %(severity)s)
   AND (%(provider)s::text IS NULL OR i.call_id IS NOT NULL AND starts_with(i.grp, %(provider)s::text || '/'))
   AND (%(ref)s::text IS NULL OR i.ref = %(ref)s)
   AND (%(assignee)s::text IS NULL OR i.assignee IS NOT NULL AND onceward.person(i.assignee) = onceward.person(%(assignee)s))
   AND (NOT %(free)s OR i.assignee IS NULL)
   AND (%(after_opened)s::timestamptz IS NULL OR (i.severity, i.opened_at, i.id) > (%(after_severity)s::int, %(after_opened)s::timestamptz, %(after_id)s::uuid))
 ORDER BY i.severity, i.opened_at, i.id LIMIT %(limit)s
