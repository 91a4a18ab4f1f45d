-- The call, locked, and how many of its attempts the provider may have met: each may be what it reports of.
SELECT c.*, clock_timestamp() AS now, s.sends, s.last_sent_at
  FROM onceward.call c,
       LATERAL (SELECT count(*) FILTER (WHERE a.verdict IS NULL OR a.verdict NOT IN ('not_sent', 'not_reached', 'throttled')) AS sends, max(a.began_at) AS last_sent_at
                  FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send') s
 WHERE c.id = :id
   FOR UPDATE OF c
