-- Replication slots, and how much WAL each keeps on the server's disk.
SELECT slot_name::text, active, coalesce(wal_status, ''), coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::bigint
  FROM pg_catalog.pg_replication_slots ORDER BY 4 DESC
