-- One transaction of a participant with an outbox: the same row.
INSERT INTO onceward.outbox (message_id, topic, key, type, payload) VALUES (gen_random_uuid(), $1, $2, 'Benched', $3)
