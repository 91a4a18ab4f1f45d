-- What waits for a person in groups, with the value of each currency: amounts of two are never added.
WITH open AS (
  SELECT grp, kind, currency, count(*) AS number, sum(amount) AS amount, min(severity) AS severity, min(opened_at) AS oldest, min(act_before) AS act_before
    FROM onceward.incident WHERE closed_at IS NULL GROUP BY grp, kind, currency
)
SELECT grp, kind, sum(number) AS number, array_agg(trim_scale(amount) || ' ' || currency ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS values,
       min(severity) AS severity, min(oldest) AS oldest, min(act_before) AS act_before, clock_timestamp() AS now
  FROM open GROUP BY grp, kind ORDER BY min(severity), min(oldest), grp LIMIT %(limit)s
