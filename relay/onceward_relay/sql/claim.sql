-- Who holds this asks the owner of the source to let go.
SELECT pg_catalog.pg_try_advisory_lock(1869505381, 2)
