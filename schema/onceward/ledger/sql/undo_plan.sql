-- The calls of a flow that took effect or may have, the last first, and how much of each is undone or may be.
SELECT c.id, c.step, c.provider, c.operation, c.state, c.request, c.result, c.undo_request, c.ref, c.amount, c.currency,
       coalesce(u.unsettled, false) AS unsettled,
       CASE WHEN c.amount IS NULL THEN u.succeeded > 0 ELSE coalesce(u.undone, 0) >= c.amount AND u.succeeded > 0 END AS undone
  FROM onceward.call c,
       LATERAL (SELECT bool_or(a.settled_at IS NULL) AS unsettled,
                       count(*) FILTER (WHERE a.state = 'succeeded') AS succeeded,
                       sum(a.amount) FILTER (WHERE a.state = 'succeeded') AS undone
                  FROM onceward.call a WHERE a.undoes = c.id) u
 WHERE c.flow_id = :flow_id AND c.undoes IS NULL AND c.state NOT IN ('failed', 'cancelled')
 ORDER BY c.seq DESC NULLS LAST, c.created_at DESC
