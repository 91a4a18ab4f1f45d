-- One transaction of a steady load. The payload begins with the time of its writing.
INSERT INTO onceward.outbox (message_id, topic, key, type, payload)
SELECT gen_random_uuid(), %(topic)s, convert_to('key-' || (%(turn)s::bigint * %(messages)s + n) %% %(keys)s, 'UTF8'), 'Benched',
       convert_to(%(stamp)s::text || repeat('x', greatest(%(size)s - 20, 0)), 'UTF8')
  FROM generate_series(1, %(messages)s) n
