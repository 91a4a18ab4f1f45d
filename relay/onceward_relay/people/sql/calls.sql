-- The newest calls, for the command line. Of an open state only what is not settled is looked at, which has an index of its own.
SELECT id, provider, operation, key, ref, amount, currency, state, error_code, error_text, attempts, due_at, created_at, settled_at, settled_by,
       clock_timestamp() AS now
  FROM onceward.call
 WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(ref)s::text IS NULL OR ref = %(ref)s)
   AND (%(state)s::text IS NULL OR %(state)s::text IN ('succeeded', 'failed', 'cancelled') OR settled_at IS NULL)
 ORDER BY created_at DESC, id LIMIT %(limit)s
