-- The report that has been due for longest and that nobody else is at. One of a provider that no worker has declared is anybody's: people must hear of it.
SELECT e.*, clock_timestamp() AS now
  FROM onceward.evidence e
 WHERE e.handled_at IS NULL AND e.due_at <= statement_timestamp()
   AND (e.provider = ANY(:providers) OR NOT EXISTS (SELECT FROM onceward.provider p WHERE p.name = e.provider))
 ORDER BY e.due_at LIMIT 1
   FOR UPDATE OF e SKIP LOCKED
