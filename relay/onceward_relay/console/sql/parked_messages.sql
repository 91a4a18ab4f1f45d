-- Incoming messages that failed, the oldest first, each with how many wait behind it; counting ends after a thousand.
SELECT p.seq, p.consumer, p.message_id, p.topic, p.partition, p."offset", p.key, p.bytes, p.error, p.attempts, p.next_try, p.parked_at,
       (SELECT count(*) FROM (SELECT FROM onceward.inbox_parked b WHERE (b.consumer, b.topic, b.key_hash) = (p.consumer, p.topic, p.key_hash) AND b.seq > p.seq LIMIT 1001) l) AS behind
  FROM onceward.inbox_parked_shown p
 WHERE p.state = 'parked' AND (%(topic)s::text IS NULL OR p.topic = %(topic)s) AND (%(message)s::uuid IS NULL OR p.message_id = %(message)s)
   AND (%(after)s::bigint IS NULL OR p.seq > %(after)s)
 ORDER BY p.seq LIMIT %(limit)s
