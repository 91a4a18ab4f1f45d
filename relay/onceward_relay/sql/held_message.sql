-- Full copies, made inside the server.
INSERT INTO onceward.held_message (id, hold_id, state, error, message_id, topic, key, type, payload, headers, created_at)
SELECT o.id, aside.hold_id, aside.state, aside.error, o.message_id, o.topic, o.key, o.type, o.payload, o.headers, o.created_at
  FROM unnest(%(ids)s::bigint[], %(holds)s::uuid[], %(states)s::text[], %(errors)s::text[]) AS aside (id, hold_id, state, error)
  JOIN onceward.outbox o ON o.id = aside.id
