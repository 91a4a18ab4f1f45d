-- What a handler of one statement does.
INSERT INTO onceward_bench.effect (message_id) VALUES (:message_id)
