-- The message, if it is due and the oldest of its key.
SELECT seq, message_id, topic, partition, "offset", key, key_hash, payload, headers, record_time, attempts
  FROM onceward.inbox_parked AS head
 WHERE seq = :seq AND next_try <= clock_timestamp()
   AND NOT EXISTS (
     SELECT FROM onceward.inbox_parked AS older
      WHERE older.consumer = head.consumer AND older.topic = head.topic AND older.key_hash = head.key_hash
        AND older.seq < head.seq)
   FOR UPDATE SKIP LOCKED
