-- The newest flows, for the command line.
SELECT id, name, key, state, undoing, paused_at, due_at, failures, error, version, created_at, ended_at, clock_timestamp() AS now
  FROM onceward.flow
 WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(name)s::text IS NULL OR name = %(name)s) AND (%(key)s::text IS NULL OR key = %(key)s)
 ORDER BY created_at DESC, id LIMIT %(limit)s
