-- What the relay asks while messages keep coming: the server tells it at once when something has changed, instead of being asked again and again.

CREATE FUNCTION onceward.probe(since text, patience interval, OUT snapshot text, OUT written text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE
  ends timestamptz := clock_timestamp() + patience;
BEGIN
  LOOP
    snapshot := pg_current_snapshot()::text;
    EXIT WHEN snapshot <> since OR clock_timestamp() >= ends;
    PERFORM pg_sleep(0.002);
  END LOOP;
  written := pg_current_wal_insert_lsn()::text;
END $$;
COMMENT ON FUNCTION onceward.probe(text, interval) IS
  'What is visible now, and how far WAL must be flushed until all of it is durable; waits at most so long for another snapshot than the given one. Writes nothing.';

REVOKE ALL ON FUNCTION onceward.probe(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.probe(text, interval) TO onceward_relay;
