-- What waits for a person, most severe and oldest first.
SELECT id, kind, call_id, flow_id, message_id, grp, severity, title, ref, amount, currency, opened_at, times, act_before, assignee, snoozed_until, clock_timestamp() AS now
  FROM onceward.incident
 WHERE closed_at IS NULL AND (%(snoozed)s OR snoozed_until IS NULL OR snoozed_until <= clock_timestamp())
   AND (%(group)s::text IS NULL OR left(grp, 200) = left(%(group)s::text, 200) AND grp = %(group)s)
   AND (%(assignee)s::text IS NULL OR lower(assignee) = lower(%(assignee)s))
 ORDER BY severity, opened_at, id LIMIT %(limit)s
