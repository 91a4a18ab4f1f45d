-- The call that has been due for longest and that nobody else is at.
SELECT c.*, clock_timestamp() AS now,
       (SELECT count(*) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict IN ('unknown', 'in_progress'))) AS sends,
       (SELECT a.verdict FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send' ORDER BY a.no DESC LIMIT 1) AS last_verdict
  FROM onceward.call c
 WHERE c.due_at <= clock_timestamp()
   AND (c.provider, c.operation) IN (SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:operations AS text[])))
 ORDER BY c.due_at LIMIT 1
   FOR UPDATE OF c SKIP LOCKED
