-- What the relay asks while it has nothing to do: the server tells it once there are new messages, instead of being asked again and again.

-- A procedure, for it ends its transaction after each look at the outbox: what waits must hold no lock and no snapshot back. For the
-- same reason it has no search_path of its own, and every name is written in full.
CREATE PROCEDURE onceward.wait_for_rows(since text, patience double precision, nap double precision,
  INOUT snapshot text, INOUT written text, INOUT news boolean)
LANGUAGE plpgsql AS $$
DECLARE
  ends pg_catalog.timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => patience);
  ended pg_catalog.xid8[];
  slept pg_catalog.bool;
BEGIN
  LOOP
    snapshot := pg_catalog.pg_current_snapshot()::pg_catalog.text;
    IF snapshot OPERATOR(pg_catalog.<>) since THEN
      EXIT WHEN patience OPERATOR(pg_catalog.=) 0;
      ended := ARRAY(SELECT pg_catalog.pg_snapshot_xip(since::pg_catalog.pg_snapshot) EXCEPT SELECT pg_catalog.pg_snapshot_xip(snapshot::pg_catalog.pg_snapshot));
      news := (SELECT o.xid FROM onceward.outbox o
                 WHERE o.xid OPERATOR(pg_catalog.>=) pg_catalog.pg_snapshot_xmax(since::pg_catalog.pg_snapshot)
                   AND o.xid OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmax(snapshot::pg_catalog.pg_snapshot)
                   AND o.xid OPERATOR(pg_catalog.<>) ALL (ARRAY(SELECT pg_catalog.pg_snapshot_xip(snapshot::pg_catalog.pg_snapshot)))
                 ORDER BY o.xid LIMIT 1) IS NOT NULL
            OR (ended OPERATOR(pg_catalog.<>) '{}' AND EXISTS (SELECT FROM onceward.outbox o WHERE o.xid OPERATOR(pg_catalog.=) ANY (ended)));
      EXIT WHEN news;
      since := snapshot;
      COMMIT;
    END IF;
    EXIT WHEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) ends;
    slept := pg_catalog.pg_sleep(nap) IS NULL;  -- as an expression it costs half of what a statement does
  END LOOP;
  written := pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text;
END $$;
COMMENT ON PROCEDURE onceward.wait_for_rows(text, double precision, double precision, text, text, boolean) IS
  'Waits at most `patience` seconds for outbox rows that were not visible in the snapshot `since`, looking every `nap` seconds. Returns what is visible now, how far WAL must be flushed until all of it is durable, and whether there are such rows; with no patience, null for "not looked". Writes nothing.';

REVOKE ALL ON PROCEDURE onceward.wait_for_rows(text, double precision, double precision, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE onceward.wait_for_rows(text, double precision, double precision, text, text, boolean) TO onceward_relay;

CREATE FUNCTION onceward.wait_durable(written text, patience interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE
  ends timestamptz := clock_timestamp() + patience;
BEGIN
  WHILE pg_current_wal_flush_lsn() < written::pg_lsn LOOP
    IF clock_timestamp() >= ends THEN
      PERFORM set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'onceward', '');
      RETURN;  -- the commit of this statement flushes all WAL before it
    END IF;
    PERFORM pg_sleep(0.001);
  END LOOP;
END $$;
COMMENT ON FUNCTION onceward.wait_durable(text, interval) IS
  'Returns once WAL is flushed up to the given position. Somebody''s commit usually does that, at no cost to anybody; after so long its own commit does, with a tiny message in WAL.';

REVOKE ALL ON FUNCTION onceward.wait_durable(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.wait_durable(text, interval) TO onceward_relay;
