SELECT c.*, clock_timestamp() AS now,
       (SELECT count(*) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict = 'unknown')) AS sends,
       coalesce((SELECT min(a.began_at) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict IN ('unknown', 'in_progress'))), c.first_sent_at) AS doubted_at,
       (SELECT a.verdict FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'send' ORDER BY a.no DESC LIMIT 1) AS last_verdict
  FROM onceward.call c WHERE c.flow_id = :flow_id AND c.step = :step ORDER BY c.take DESC LIMIT 1
