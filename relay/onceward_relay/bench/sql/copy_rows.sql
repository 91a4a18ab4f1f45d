-- What a relay reads of the outbox, as the server writes it out by itself, in any order.
COPY (SELECT id, message_id, topic, key, type, payload, headers, created_at FROM onceward.outbox) TO {target} (FORMAT binary)
