-- The newest checkpoint, and whether its snapshots belong to this database's history.
-- xid <> xmin: the row came here by a dump, where its snapshots mean nothing.
SELECT c.s1::text, c.s2::text, c.last_id, c.timeline, c.system_id,
       c.xmin <> c.xid::xid AS copied,
       greatest(pg_catalog.pg_snapshot_xmax(c.s1), pg_catalog.pg_snapshot_xmax(c.s2))
         > pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS ahead,
       c.page, c.planned_s1::text, c.planned_s2::text, c.planned_last_id, c.planned_aside, c.release_hold, c.release_to
  FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1
