-- How many bytes a second have been written to the outbox in the last so many seconds, or since a slot was emptied; NULL if that is less than
-- {least} s ago. By ids, as if all rows were of one size, and without what an index takes while it is empty.
-- Times rise with ids, but for transactions that took long: halving finds the first id of the time in few looks.
WITH RECURSIVE time AS (
  SELECT extract(epoch FROM clock_timestamp())::float8 AS present,
         least({most}, extract(epoch FROM clock_timestamp() - (SELECT max(rows_before) FROM onceward.slot_emptied)))::float8 AS seconds
), bounds AS (
  SELECT (SELECT id FROM onceward.outbox ORDER BY id LIMIT 1) - 1 AS before, (SELECT id FROM onceward.outbox ORDER BY id DESC LIMIT 1) AS newest
), halving (older, upto) AS (
  SELECT before, newest FROM bounds
  UNION ALL
  SELECT CASE WHEN found.older THEN found.id ELSE h.older END, CASE WHEN found.older THEN h.upto ELSE h.older + (h.upto - h.older) / 2 END
    FROM halving h CROSS JOIN LATERAL (
      SELECT o.id, extract(epoch FROM o.created_at)::float8 < time.present - time.seconds AS older
        FROM onceward.outbox o CROSS JOIN time WHERE o.id > h.older + (h.upto - h.older) / 2 ORDER BY o.id LIMIT 1) found
   WHERE h.older < h.upto
), written AS (
  SELECT (bounds.newest - (SELECT max(older) FROM halving))::float8 / (bounds.newest - bounds.before) AS part FROM bounds
), bare AS (
  SELECT count(*) * current_setting('block_size')::bigint AS bytes
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON i.indrelid IN (c.oid, c.reltoastrelid)
   WHERE c.relnamespace = 'onceward'::regnamespace AND c.relname IN ('outbox_0', 'outbox_1', 'outbox_2')
)
SELECT CASE WHEN time.seconds >= {least} THEN coalesce(written.part * greatest(0, {bytes} - bare.bytes), 0) / time.seconds END
  FROM time, written, bare
