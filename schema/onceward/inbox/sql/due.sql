SELECT seq, topic, key_hash
  FROM onceward.inbox_parked
 WHERE consumer = :consumer AND next_try <= clock_timestamp()
 ORDER BY next_try
 LIMIT 100
