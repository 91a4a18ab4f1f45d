-- For this transaction: whoever holds a lock on a table that is only counted must not hold up messages.
SELECT pg_catalog.set_config('lock_timeout', '50ms', true)
