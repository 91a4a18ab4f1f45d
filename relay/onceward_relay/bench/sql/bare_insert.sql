-- One transaction of a participant without an outbox.
INSERT INTO onceward_bench.plain (message_id, topic, key, type, payload) VALUES (gen_random_uuid(), $1, $2, 'Benched', $3)
