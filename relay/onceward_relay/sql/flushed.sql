SELECT pg_catalog.pg_current_wal_flush_lsn() >= %s::pg_lsn
