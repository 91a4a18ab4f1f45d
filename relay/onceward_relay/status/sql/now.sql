-- What is visible now, the server's clock, and whether this role may measure payloads.
SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.clock_timestamp(), pg_catalog.has_column_privilege('onceward.outbox', 'payload', 'SELECT')
