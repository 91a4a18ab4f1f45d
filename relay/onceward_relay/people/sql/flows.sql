-- The newest flows, for the command line. Of an open state only what has not ended is looked at, and a key under each name, which have indexes of their own.
SELECT id, name, key, state, undoing, undo_reason, paused_at, due_at, failures, error, version, created_at, ended_at, clock_timestamp() AS now
  FROM onceward.flow
 WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(name)s::text IS NULL OR name = %(name)s)
   AND (%(state)s::text IS NULL OR %(state)s::text IN ('completed', 'undone', 'closed') OR ended_at IS NULL)
   AND (%(key)s::text IS NULL OR key = %(key)s AND name = ANY (ARRAY(
         WITH RECURSIVE names AS (
           (SELECT f.name FROM onceward.flow f ORDER BY f.name LIMIT 1)
           UNION ALL
           SELECT (SELECT f.name FROM onceward.flow f WHERE f.name > n.name ORDER BY f.name LIMIT 1) FROM names n WHERE n.name IS NOT NULL)
         SELECT n.name FROM names n WHERE n.name IS NOT NULL)))
 ORDER BY created_at DESC, id LIMIT %(limit)s
