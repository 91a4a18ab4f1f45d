-- Settings as this session got them, from the server, the database and the role.
SELECT name, setting FROM pg_catalog.pg_settings
 WHERE name IN ('autovacuum', 'default_transaction_isolation', 'fsync', 'full_page_writes', 'idle_in_transaction_session_timeout',
   'max_prepared_transactions', 'synchronous_commit', 'wal_level', 'track_counts')
