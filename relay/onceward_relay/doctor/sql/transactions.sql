-- The oldest open transactions of this database that have written or hold a snapshot.
SELECT pid, usename, coalesce(application_name, ''), coalesce(state, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8, backend_xid IS NOT NULL
  FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
   AND xact_start IS NOT NULL AND backend_type = 'client backend'
 ORDER BY xact_start LIMIT 3
