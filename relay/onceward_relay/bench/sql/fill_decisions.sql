-- A decision about every hundredth call that failed or is in doubt, of which those in doubt wait for another person.
INSERT INTO onceward.resolution (id, call_id, verb, seen_version, amount, currency, reason, approvals, state, proposed_by, proposed_at, decided_by, decided_at, not_before, ended_at, outcome)
SELECT md5('decision ' || c.id)::uuid, c.id, 'not_applied', c.version, c.amount, c.currency, 'the bank said so on the phone', 1,
       CASE WHEN open THEN 'proposed' ELSE 'applied' END, 'ada', c.created_at, CASE WHEN NOT open THEN 'bob' END, CASE WHEN NOT open THEN c.created_at END,
       CASE WHEN NOT open THEN c.created_at END, CASE WHEN NOT open THEN c.created_at END, CASE WHEN NOT open THEN 'it is settled as failed' END
  FROM onceward.call c, LATERAL (SELECT c.state = 'in_doubt' AS open) found
 WHERE c.state IN ('failed', 'in_doubt') AND substr(c.key, 5)::integer %% 100 IN (7, 93)
