SELECT pg_catalog.pg_advisory_unlock(1869505381, 2)
