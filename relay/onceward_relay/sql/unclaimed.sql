-- Whether nobody asks the owner to let go: the lock of a claim can be had, and is given back at once.
SELECT CASE WHEN pg_catalog.pg_try_advisory_lock(1869505381, 2) THEN pg_catalog.pg_advisory_unlock(1869505381, 2) ELSE false END
