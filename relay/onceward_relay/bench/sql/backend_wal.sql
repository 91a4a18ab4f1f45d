-- Bytes of WAL that the backends of a benchmark's relay have written. PostgreSQL 18 and later.
SELECT coalesce(sum(w.wal_bytes), 0)::bigint
  FROM pg_stat_activity a, pg_stat_get_backend_wal(a.pid) w
 WHERE a.application_name LIKE 'onceward-relay bench%'
