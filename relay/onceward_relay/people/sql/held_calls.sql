SELECT c.provider || '/' || c.operation AS operation, count(*) AS calls, trim_scale(sum(c.amount)) || ' ' || c.currency AS value
  FROM onceward.call c WHERE c.state = 'pending' AND c.error_code = 'history_lost' GROUP BY c.provider, c.operation, c.currency ORDER BY 1, 3
