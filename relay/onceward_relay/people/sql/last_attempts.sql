SELECT a.began_at, clock_timestamp() AS now, c.provider || '/' || c.operation AS operation, c.key, c.provider_ref, a.call_id
  FROM onceward.attempt a JOIN onceward.call c ON c.id = a.call_id
 WHERE a.kind = 'send' AND a.began_at <= (SELECT h.first_seen FROM onceward.history h ORDER BY h.no DESC LIMIT 1)
 ORDER BY a.began_at DESC LIMIT 10
