-- The update changes nothing: it locks a hold that exists already, so that no retry ends it before this transaction does.
INSERT INTO onceward.inbox_hold (consumer, topic, key) VALUES (:consumer, :topic, :key)
ON CONFLICT (consumer, topic, key_hash) DO UPDATE SET held_since = inbox_hold.held_since
RETURNING xmax = '0' AS created
