-- The ledger, with what its attempts came to and the incident that a call waits in.
SELECT c.id, c.ref, c.provider, c.operation, c.key, c.state, c.amount, c.currency, c.difference, c.due_at IS NULL AS given_up, c.error_text, c.settled_by,
       a.sends, a.lookups, a.sends_without_answer,
       (SELECT min(i.title) FROM onceward.incident i WHERE i.call_id = c.id AND i.closed_at IS NULL) AS incident
  FROM onceward.call c,
       LATERAL (SELECT count(*) FILTER (WHERE kind = 'send') AS sends, count(*) FILTER (WHERE kind = 'lookup') AS lookups,
                       count(*) FILTER (WHERE kind = 'send' AND coalesce(verdict, 'unknown') = 'unknown') AS sends_without_answer
                  FROM onceward.attempt WHERE call_id = c.id) a
 ORDER BY c.created_at
