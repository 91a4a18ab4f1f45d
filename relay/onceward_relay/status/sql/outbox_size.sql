-- Bytes of the outbox with its indexes.
SELECT sum(pg_catalog.pg_total_relation_size(c.oid))::bigint
  FROM pg_catalog.pg_class c WHERE c.relnamespace = 'onceward'::regnamespace AND c.relname IN ('outbox_0', 'outbox_1', 'outbox_2')
