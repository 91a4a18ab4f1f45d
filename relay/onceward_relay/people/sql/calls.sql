-- The newest calls, for the command line.
SELECT id, provider, operation, key, ref, amount, currency, state, error_code, error_text, attempts, due_at, created_at, settled_at, settled_by,
       clock_timestamp() AS now
  FROM onceward.call
 WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(ref)s::text IS NULL OR ref = %(ref)s)
 ORDER BY created_at DESC, id LIMIT %(limit)s
