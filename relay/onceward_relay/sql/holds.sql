SELECT hold_id::text, topic, key FROM onceward.hold ORDER BY created_at
