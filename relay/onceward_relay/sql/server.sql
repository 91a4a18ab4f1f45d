-- What the session is connected to. pg_backend_pid() differs from the process id of the handshake if a pooler stands between.
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.pg_backend_pid(),
       pg_catalog.current_setting('server_version_num')::int,
       pg_catalog.current_setting('server_encoding'),
       (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'onceward' AND c.relname IN ('outbox', 'ownership', 'checkpoint', 'hold', 'held_message', 'incident'))
