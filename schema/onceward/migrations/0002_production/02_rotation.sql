-- Emptying slots of the outbox: at one stroke, and only with proof that nothing in them is still to be sent.

CREATE FUNCTION onceward.rotate(part smallint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
DECLARE
  name text := 'outbox_' || part;
  slot_table regclass := format('onceward.%I', name)::regclass;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    -- Under an older snapshot a row that was committed since would be emptied unseen.
    RAISE EXCEPTION 'rotate() needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
  ELSIF part = onceward.slot() THEN
    RETURN 'current';
  ELSIF pg_relation_size(slot_table) = 0 THEN
    RETURN 'empty';
  ELSIF now() < onceward.slot_ended(part) + make_interval(secs => onceward.keep_for()) THEN
    RETURN 'kept';
  ELSIF NOT onceward.is_settled(part) THEN
    RETURN 'not settled';
  END IF;
  EXECUTE format('LOCK TABLE ONLY onceward.%I IN ACCESS EXCLUSIVE MODE NOWAIT', name);
  -- With this lock nobody has rows here that are not committed: whoever writes, also in a prepared transaction, holds another.
  IF NOT onceward.is_settled(part) THEN
    RETURN 'not settled';
  END IF;
  EXECUTE format('TRUNCATE ONLY onceward.%I', name);
  PERFORM onceward.emptied(part, onceward.slot_ended(part));
  RETURN 'emptied';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'in use';  -- nothing of it has happened; somebody writes to the slot, or is deciding for how long messages are kept
END $$;
COMMENT ON FUNCTION onceward.rotate(smallint) IS
  'Empties a slot of the outbox if every row of it is settled: emptied, empty, current, kept (see keep_for()), in use (somebody holds a lock on it), not settled. Hardly waits: 50 ms at most for a lock.';

CREATE FUNCTION onceward.is_settled(part smallint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE
  newest onceward.checkpoint;
  open boolean;
BEGIN
  SELECT * INTO newest FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1;
  IF newest.s1 IS NULL OR newest.s2 IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM ONLY onceward.%1$I WHERE xid >= $1) OR EXISTS (SELECT FROM ONLY onceward.%1$I WHERE xid = ANY ($2))',
                 'outbox_' || part)
    INTO open USING pg_snapshot_xmax(newest.s1), ARRAY(SELECT pg_snapshot_xip(newest.s1));
  RETURN NOT open;
END $$;
COMMENT ON FUNCTION onceward.is_settled(smallint) IS 'Whether the newest checkpoint covers every committed row of a slot; never while a window is open.';

CREATE FUNCTION onceward.rotation_blockers(part smallint) RETURNS TABLE (kind text, name text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT CASE WHEN l.pid IS NULL THEN 'prepared transaction' ELSE 'transaction' END AS kind,
         coalesce(p.gid, format('pid %s of %s %s', l.pid, a.usename, a.application_name)) AS name,
         -- Where another's session is not seen: who writes here began before the slot was left.
         min(coalesce(p.prepared, a.xact_start, CASE WHEN l.mode = 'RowExclusiveLock' AND part <> onceward.slot() THEN onceward.slot_ended(part) END))
    FROM pg_locks l
    LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    LEFT JOIN (pg_locks x JOIN pg_prepared_xacts p ON p.transaction = x.transactionid)
           ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
   WHERE l.relation = format('onceward.outbox_%s', part)::regclass AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   GROUP BY 1, 2 ORDER BY 3
$$;
COMMENT ON FUNCTION onceward.rotation_blockers(smallint) IS
  'Whose locks keep a slot from being emptied: open transactions, a pg_dump, prepared transactions. since: at the latest; NULL for a reader of whom it is not seen.';

REVOKE ALL ON FUNCTION onceward.rotate(smallint), onceward.is_settled(smallint), onceward.rotation_blockers(smallint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.rotate(smallint), onceward.rotation_blockers(smallint) TO onceward_relay;
