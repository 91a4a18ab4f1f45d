-- Prepared transactions of this database, oldest first: they outlive their session, and nothing ends them by itself.
SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_catalog.pg_prepared_xacts WHERE database = current_database() ORDER BY prepared
