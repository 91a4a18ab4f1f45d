-- Whether the outbox holds a transaction id that this database has yet to give: it came from another history.
SELECT (SELECT xid FROM onceward.outbox ORDER BY xid DESC LIMIT 1) >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
