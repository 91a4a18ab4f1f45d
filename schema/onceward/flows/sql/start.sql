-- Starts a flow, unless one of its name and key was started before: the first one wins.
INSERT INTO onceward.flow (id, name, key, message_id, input, trace)
VALUES (:id, :name, :key, :message_id, :input, CAST(:trace AS jsonb))
ON CONFLICT DO NOTHING
RETURNING id
