-- What is visible now, and how far WAL must be flushed until all of it is durable. Writes nothing and takes no transaction id.
SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text
