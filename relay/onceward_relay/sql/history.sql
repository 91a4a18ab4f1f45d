-- Whose history this is, for reports.
SELECT left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8),
       (SELECT system_identifier FROM pg_catalog.pg_control_system())
