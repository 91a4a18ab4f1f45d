-- The schema and its version table, which are there before the first revision.

COMMENT ON SCHEMA onceward IS 'Outbox, inbox, ledger of external calls and flows. A public contract: documented, migrated with N-1 compatibility.';
COMMENT ON TABLE onceward.schema_version IS 'The revision of this schema, in the manner of Alembic.';
COMMENT ON COLUMN onceward.schema_version.version_num IS 'Number of the newest revision that was applied.';
