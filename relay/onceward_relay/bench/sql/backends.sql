-- The backends that serve a benchmark's relay, on the whole server.
SELECT pid, datname FROM pg_stat_activity WHERE application_name LIKE 'onceward-relay bench%'
