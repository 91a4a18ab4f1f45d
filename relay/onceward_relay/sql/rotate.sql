-- Each slot: what became of it, and its bytes with its indexes.
SELECT part, onceward.rotate(part::smallint), pg_catalog.pg_total_relation_size(format('onceward.outbox_%%s', part)::regclass)
  FROM generate_series(0, 2) part
