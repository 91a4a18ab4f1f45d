-- Never the blocking form: waiting in it would pin xmin.
SELECT pg_catalog.pg_try_advisory_lock(1869505381, 1)
