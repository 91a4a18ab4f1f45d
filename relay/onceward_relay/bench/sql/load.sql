-- One transaction of the load.
INSERT INTO onceward.outbox (message_id, topic, key, type, payload)
SELECT gen_random_uuid(), %(topic)s, convert_to('key-' || n %% %(keys)s, 'UTF8'), 'Benched', convert_to(repeat('x', %(size)s), 'UTF8')
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
