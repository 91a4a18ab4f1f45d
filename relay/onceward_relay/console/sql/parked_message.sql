-- One incoming message that was set aside, with what is in the way of handling it again.
SELECT p.*, clock_timestamp() AS now,
       (SELECT min(o.seq) FROM onceward.inbox_parked o WHERE (o.consumer, o.topic, o.key_hash) = (p.consumer, p.topic, p.key_hash) AND o.seq < p.seq) AS first_of_key,
       (SELECT count(*) FROM (SELECT FROM onceward.inbox_parked b WHERE (b.consumer, b.topic, b.key_hash) = (p.consumer, p.topic, p.key_hash) AND b.seq > p.seq LIMIT 1001) l) AS behind
  FROM onceward.inbox_parked_shown p WHERE p.seq = %(seq)s
