-- Tables of onceward that autovacuum may not clean, or that hold many dead rows.
SELECT c.relname::text, 'autovacuum_enabled=off' = ANY (c.reloptions) OR 'autovacuum_enabled=false' = ANY (c.reloptions), coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
 WHERE n.nspname = 'onceward' AND c.relkind = 'r' ORDER BY 1
