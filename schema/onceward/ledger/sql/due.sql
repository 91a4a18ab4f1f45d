-- The call of one provider that has been due for longest and that nobody else is at.
-- The time is the statement's, not the clock's: only a time that stands still lets the index end the search.
SELECT c.*, clock_timestamp() AS now, p.stop_reason,
       (SELECT count(*) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict = 'unknown')) AS sends,
       coalesce((SELECT min(a.began_at) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict IN ('unknown', 'in_progress'))), c.first_sent_at) AS doubted_at,
       (SELECT a.verdict FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send' ORDER BY a.no DESC LIMIT 1) AS last_verdict
  FROM onceward.call c JOIN onceward.provider p ON p.name = c.provider
 WHERE c.provider = :provider AND c.due_at <= statement_timestamp() AND c.operation = ANY(:operations)
 ORDER BY c.due_at LIMIT 1
   FOR UPDATE OF c SKIP LOCKED
