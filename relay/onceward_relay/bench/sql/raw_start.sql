INSERT INTO onceward.flow (id, name, key, input) SELECT gen_random_uuid(), %(name)s, n::text, '\x7b7d' FROM generate_series(1, %(number)s) n
