-- What the relay asks while messages keep coming: the server tells it at once when something has changed, instead of being asked again and again.

CREATE FUNCTION onceward.probe(since text, patience interval, nap double precision, OUT snapshot text, OUT written text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE
  ends timestamptz := clock_timestamp() + patience;
BEGIN
  LOOP
    snapshot := pg_current_snapshot()::text;
    EXIT WHEN snapshot <> since OR clock_timestamp() >= ends;
    PERFORM pg_sleep(nap);
  END LOOP;
  written := pg_current_wal_insert_lsn()::text;
END $$;
COMMENT ON FUNCTION onceward.probe(text, interval, double precision) IS
  'What is visible now, and how far WAL must be flushed until all of it is durable; waits at most so long for another snapshot than the given one, looking every `nap` seconds. Writes nothing.';

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

REVOKE ALL ON FUNCTION onceward.probe(text, interval, double precision), onceward.wait_durable(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.probe(text, interval, double precision), onceward.wait_durable(text, interval) TO onceward_relay;
