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

REVOKE ALL ON FUNCTION onceward.probe(text, interval, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.probe(text, interval, double precision) TO onceward_relay;
