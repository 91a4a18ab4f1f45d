-- One transaction of the load. The payloads are different pieces of the same bytes.
INSERT INTO onceward.outbox (message_id, topic, key, type, payload)
SELECT gen_random_uuid(), %(topic)s, convert_to('key-' || n %% %(keys)s, 'UTF8'), 'Benched',
       substr(%(bytes)s::bytea, (n %% %(keys)s)::integer + 1, %(size)s)
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
