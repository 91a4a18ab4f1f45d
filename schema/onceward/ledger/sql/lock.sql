-- The call, locked, and what of its attempts may have taken effect.
SELECT c.*, clock_timestamp() AS now, s.sends, s.last_sent_at
  FROM onceward.call c,
       LATERAL (SELECT count(*) FILTER (WHERE a.verdict IS NULL OR a.verdict IN ('unknown', 'in_progress', 'accepted')) AS sends, max(a.began_at) AS last_sent_at
                  FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send') s
 WHERE c.id = :id
   FOR UPDATE OF c
