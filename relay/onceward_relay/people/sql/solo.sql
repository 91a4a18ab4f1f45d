SELECT value, set_by, set_at FROM onceward.setting WHERE name = 'solo'
