-- Seconds from the relay's take-over to the checkpoint that covers a transaction; no row: it is not covered yet.
SELECT extract(epoch FROM c.written_at - o.acquired_at)::float8
  FROM (SELECT * FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1) c
  JOIN onceward.ownership o ON o.epoch = c.epoch
 WHERE c.s2 IS NULL AND pg_visible_in_snapshot(%(newest)s::xid8, c.s1)
