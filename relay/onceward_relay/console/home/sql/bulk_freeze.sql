INSERT INTO onceward_console.bulk (id, person_id, kind, verb, about, capped, expires_at)
VALUES (%(id)s, %(person)s, %(kind)s, %(verb)s, %(about)s, %(capped)s, clock_timestamp() + %(time)s) ON CONFLICT (id) DO NOTHING
