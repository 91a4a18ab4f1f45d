-- The relay's backend.
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND classid = 1869505381 AND objid = 1 AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
