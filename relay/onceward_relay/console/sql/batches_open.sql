-- Batches of decisions that are open, with the money of each currency: amounts of two are never added.
WITH open AS (
  SELECT r.batch_id, r.verb, r.proposed_by, r.state, r.currency, count(*) AS number, sum(r.amount) AS amount, min(r.proposed_at) AS since, min(r.reason) AS reason
    FROM (SELECT r.* FROM onceward.resolution_shown r WHERE r.state = 'proposed' AND r.batch_id IS NOT NULL ORDER BY r.proposed_at LIMIT %(most)s) r
   GROUP BY r.batch_id, r.verb, r.proposed_by, r.state, r.currency
)
SELECT batch_id, verb, proposed_by, sum(number) AS number, array_agg(trim_scale(amount) || ' ' || currency ORDER BY currency) FILTER (WHERE currency IS NOT NULL) AS values,
       min(since) AS since, min(reason) AS reason, onceward.person(proposed_by) = onceward.person(%(person)s) AS mine
  FROM open GROUP BY batch_id, verb, proposed_by ORDER BY min(since), batch_id LIMIT %(limit)s
