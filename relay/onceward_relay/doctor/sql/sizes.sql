-- What onceward takes on the disk, largest first, and the whole database.
SELECT pg_catalog.pg_database_size(current_database()), name, sum(bytes)::bigint
  FROM (SELECT regexp_replace(c.relname, '^(outbox)_\d$', '\1') AS name, pg_catalog.pg_total_relation_size(c.oid) AS bytes
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'onceward' AND c.relkind = 'r') tables
 GROUP BY name ORDER BY 3 DESC LIMIT 3
