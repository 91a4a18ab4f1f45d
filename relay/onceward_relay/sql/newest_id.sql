SELECT coalesce((SELECT id FROM onceward.outbox ORDER BY id DESC LIMIT 1), 0)
