-- What a person lets go, or what may have healed.
SELECT hold_id::text, topic, key, state, heals FROM onceward.hold WHERE state = 'releasing' OR heals ORDER BY created_at
