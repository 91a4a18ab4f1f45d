-- Differs from the process id of the handshake if a pooler stands between.
SELECT pg_catalog.pg_backend_pid()
