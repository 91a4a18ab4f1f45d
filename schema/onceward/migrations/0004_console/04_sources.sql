-- How the relay gets on with this outbox, for screens: figures only, no message. Every count ends after ten thousand rows.

CREATE FUNCTION onceward.source_figures(OUT at timestamptz, OUT halted text, OUT relay text, OUT owned_since timestamptz, OUT owned boolean, OUT checkpoint_at timestamptz,
  OUT open_window boolean, OUT page bigint, OUT page_confirmed boolean, OUT newest_id bigint, OUT lag_rows bigint, OUT lag_estimated boolean, OUT lag_bytes bigint,
  OUT oldest timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  most CONSTANT integer := 10000;
  newest onceward.checkpoint;
  first_id bigint;
  looked_at bigint;
BEGIN
  at := clock_timestamp();
  halted := onceward.foreign_history();
  SELECT o.relay, o.acquired_at INTO relay, owned_since FROM onceward.ownership o ORDER BY o.epoch DESC LIMIT 1;
  owned := EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1869505381 AND l.objid = 1 AND l.granted
                      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()));
  SELECT * INTO newest FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1;
  checkpoint_at := newest.written_at;
  open_window := newest.s2 IS NOT NULL;
  page := newest.page;
  page_confirmed := newest.confirmed;
  newest_id := coalesce((SELECT o.id FROM onceward.outbox o ORDER BY o.id DESC LIMIT 1), (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM onceward.outbox_id_seq s));
  IF halted IS NOT NULL THEN
    RETURN;  -- its snapshots mean nothing here
  ELSIF open_window THEN
    -- What was sent of it lies up to last_id; what came with a lower id since is of transactions that took long, and few.
    SELECT count(*), coalesce(sum(w.bytes), 0), min(w.created_at), min(w.id) INTO looked_at, lag_bytes, oldest, first_id
      FROM (SELECT o.id, o.created_at, octet_length(o.payload) AS bytes FROM onceward.outbox o
             WHERE o.id > newest.last_id AND NOT pg_visible_in_snapshot(o.xid, newest.s1) ORDER BY o.id LIMIT most) w;
  ELSE
    -- With literals, for which the planner chooses the index.
    EXECUTE format('SELECT count(*), coalesce(sum(w.bytes), 0), min(w.created_at), min(w.id) FROM (
        (SELECT o.id, o.created_at, octet_length(o.payload) AS bytes FROM onceward.outbox o WHERE o.xid >= %L::xid8 ORDER BY o.xid LIMIT %s)
        UNION ALL
        (SELECT o.id, o.created_at, octet_length(o.payload) FROM onceward.outbox o WHERE o.xid = ANY (%L::xid8[]) LIMIT %s)) w',
        coalesce(pg_snapshot_xmax(newest.s1), '0'::xid8), most, ARRAY(SELECT x FROM pg_snapshot_xip(newest.s1) x), most)
      INTO looked_at, lag_bytes, oldest, first_id;
  END IF;
  lag_estimated := looked_at >= most;
  lag_rows := CASE WHEN lag_estimated THEN greatest(looked_at, newest_id - first_id + 1) ELSE looked_at END;
  IF lag_estimated THEN
    lag_bytes := lag_bytes * lag_rows / looked_at;
  END IF;
END $$;
COMMENT ON FUNCTION onceward.source_figures() IS
  'How far the relay has got: who owns the source and whether a session holds its lease now, the newest checkpoint, what waits (beyond ten thousand rows an upper estimate, by ids) and since when; halted: why nothing may be sent (copied, ahead, outbox_ahead).';

CREATE FUNCTION onceward.slots() RETURNS TABLE (part smallint, current boolean, bytes bigint, blockers jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT p.part, p.part = onceward.slot(), pg_total_relation_size(format('onceward.outbox_%s', p.part)::regclass),
         CASE WHEN p.part = onceward.slot() THEN '[]'::jsonb ELSE
           (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', b.kind, 'name', b.name, 'since', b.since) ORDER BY b.since), '[]') FROM onceward.rotation_blockers(p.part) b) END
    FROM (SELECT each::smallint AS part FROM generate_series(0, 2) each) p ORDER BY p.part
$$;
COMMENT ON FUNCTION onceward.slots() IS 'The outbox''s slots: their bytes, which one is written to, and whose locks keep the others from being emptied.';

REVOKE ALL ON FUNCTION onceward.source_figures(), onceward.slots() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.source_figures(), onceward.slots() TO onceward_console, onceward_auditor;
