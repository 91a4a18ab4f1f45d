-- What waits for a person in groups, with the value of each currency: amounts of two are never added. Counting ends after so many incidents.
WITH value AS (
  SELECT l.grp, l.kind, l.currency, count(*) AS number, sum(l.amount) AS amount, min(l.severity) AS severity, min(l.opened_at) AS oldest, min(l.act_before) AS act_before
    FROM (SELECT i.grp, i.kind, i.currency, i.amount, i.severity, i.opened_at, i.act_before
            FROM onceward.incident i
           WHERE i.closed_at IS NULL AND (%(snoozed)s OR i.snoozed_until IS NULL OR i.snoozed_until <= clock_timestamp())
             AND (%(kind)s::text IS NULL OR i.kind = %(kind)s)
             AND (%(severity)s::int IS NULL OR i.severity = %(severity)s)
             AND (%(provider)s::text IS NULL OR i.call_id IS NOT NULL AND starts_with(i.grp, %(provider)s::text || '/'))
             AND (%(ref)s::text IS NULL OR i.ref = %(ref)s)
             AND (%(assignee)s::text IS NULL OR i.assignee IS NOT NULL AND onceward.person(i.assignee) = onceward.person(%(assignee)s))
             AND (NOT %(free)s OR i.assignee IS NULL)
           LIMIT %(most)s + 1) l
   GROUP BY l.grp, l.kind, l.currency
)
SELECT grp, kind, sum(number)::bigint AS number, array_agg(trim_scale(amount) || ' ' || currency ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS values,
       min(severity) AS severity, min(oldest) AS oldest, min(act_before) AS act_before, (SELECT sum(number) FROM value) > %(most)s AS capped
  FROM value GROUP BY grp, kind ORDER BY min(severity), min(oldest), grp LIMIT %(groups)s
