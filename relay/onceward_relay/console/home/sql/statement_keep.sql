INSERT INTO onceward_console.statement (id, person_id, participant, provider, operation, name, header, columns, expires_at)
VALUES (%(id)s, %(person_id)s, %(participant)s, %(provider)s, %(operation)s, %(name)s, %(header)s, %(columns)s, clock_timestamp() + %(kept)s)
