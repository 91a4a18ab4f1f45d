-- Whether this database is still the one that the ledger was written in, or has lost committed rows: a failover, a recovery, a restored dump.

CREATE TABLE onceward.history (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE DEFAULT pg_catalog.gen_random_uuid(),
  system_id bigint NOT NULL,
  timeline text NOT NULL CHECK (timeline <> ''),
  xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  known_until timestamptz NOT NULL,
  first_seen timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  seen_by text NOT NULL,
  confirmed_at timestamptz,
  confirmed_by text,
  CONSTRAINT who_confirms_says_when CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
);
COMMENT ON TABLE onceward.history IS
  'The lives of this database, as its workers have met them. While the newest is not confirmed, calls that a lost life may have made are held or asked about first.';
COMMENT ON COLUMN onceward.history.no IS 'Order.';
COMMENT ON COLUMN onceward.history.id IS 'Identity, for its incident.';
COMMENT ON COLUMN onceward.history.system_id IS 'The server''s system identifier.';
COMMENT ON COLUMN onceward.history.timeline IS 'Its WAL timeline: another one after every promotion and recovery.';
COMMENT ON COLUMN onceward.history.xid IS 'The transaction that wrote this row. If it is not its xmin, the row came here by a dump.';
COMMENT ON COLUMN onceward.history.known_until IS 'The last that the database had not lost: when its last attempt began, or its life before was first seen.';
COMMENT ON COLUMN onceward.history.first_seen IS 'When a worker first met it.';
COMMENT ON COLUMN onceward.history.seen_by IS 'Which worker.';
COMMENT ON COLUMN onceward.history.confirmed_at IS 'Since when calls are made as always again.';
COMMENT ON COLUMN onceward.history.confirmed_by IS 'Who confirmed it; of the first one the worker that met it.';

CREATE FUNCTION onceward.timeline() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
$$;
COMMENT ON FUNCTION onceward.timeline() IS 'The server''s WAL timeline; NULL on a standby.';

CREATE FUNCTION onceward.history_lost_since() RETURNS timestamptz LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT CASE WHEN h.timeline <> onceward.timeline() OR h.xmin <> h.xid::xid THEN timestamptz 'epoch'
              WHEN h.confirmed_at IS NULL THEN h.known_until END
    FROM onceward.history h ORDER BY h.no DESC LIMIT 1
$$;
COMMENT ON FUNCTION onceward.history_lost_since() IS
  'Since when calls may be lost that this database does not know: NULL if it is the one it was, or a person has confirmed it; 1970 until a worker has looked.';

CREATE FUNCTION onceward.look_at_history(worker text, send_window interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.history;
  server bigint := (SELECT system_identifier FROM pg_control_system());
  here text := onceward.timeline();
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('onceward.history', 0));
  SELECT * INTO found FROM onceward.history h ORDER BY h.no DESC LIMIT 1;
  IF found.no IS NULL THEN
    INSERT INTO onceward.history (system_id, timeline, known_until, seen_by, confirmed_at, confirmed_by)
    VALUES (server, here, clock_timestamp(), look_at_history.worker, clock_timestamp(), look_at_history.worker);
    RETURN true;
  ELSIF (found.system_id, found.timeline) = (server, here)
        AND NOT EXISTS (SELECT FROM onceward.history h WHERE h.no = found.no AND h.xmin <> h.xid::xid) THEN
    RETURN found.confirmed_at IS NOT NULL;
  END IF;
  INSERT INTO onceward.history (system_id, timeline, known_until, seen_by)
  VALUES (server, here, greatest(found.first_seen, (SELECT max(a.began_at) FROM onceward.attempt a)), look_at_history.worker)
  RETURNING * INTO found;
  -- An attempt that is lost may have been sent until a moment ago.
  UPDATE onceward.call c SET send_by = greatest(c.send_by, clock_timestamp() + look_at_history.send_window), version = c.version + 1
   WHERE c.state IN ('in_doubt', 'accepted');
  INSERT INTO onceward.incident (kind, message_id, grp, severity, title)
  VALUES ('history_lost', found.id, 'history_lost', 1,
          format('This database has begun a new life, on timeline %s: calls made after %s may be lost. Look with `onceward recover`, and confirm it.', here, onceward.moment(found.known_until)));
  RETURN false;
END $$;
COMMENT ON FUNCTION onceward.look_at_history(text, interval) IS
  'Notes whether the database is on another server or timeline than before, or was restored from a dump, and opens an incident then. Returns whether it is known or confirmed. send_window: how long after its record an attempt may be sent.';

CREATE FUNCTION onceward.confirm_history(seen bigint, actor text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.history;
  released bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('onceward.history', 0));
  SELECT * INTO found FROM onceward.history h ORDER BY h.no DESC LIMIT 1;
  IF found.no IS NULL OR found.confirmed_at IS NOT NULL THEN
    RAISE EXCEPTION 'history: there is nothing to confirm' USING ERRCODE = 'object_not_in_prerequisite_state';
  ELSIF found.no IS DISTINCT FROM confirm_history.seen OR found.timeline <> onceward.timeline() THEN
    RAISE EXCEPTION 'history: it has changed since it was seen' USING ERRCODE = 'OW004', HINT = 'Look at it again.';
  END IF;
  UPDATE onceward.history h SET confirmed_at = clock_timestamp(), confirmed_by = btrim(confirm_history.actor), xid = pg_current_xact_id() WHERE h.no = found.no;
  UPDATE onceward.call c SET due_at = clock_timestamp(), version = version + 1 WHERE c.state = 'pending' AND c.error_code = 'history_lost';
  GET DIAGNOSTICS released = ROW_COUNT;
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = btrim(confirm_history.actor) WHERE i.kind = 'history_lost' AND i.closed_at IS NULL;
  PERFORM onceward.record(confirm_history.actor, 'history.confirm', 'history', found.no::text, confirm_history.reason,
    jsonb_build_object('system_id', found.system_id, 'timeline', found.timeline, 'known_until', found.known_until, 'first_seen', found.first_seen, 'calls', released));
  RETURN released;
END $$;
COMMENT ON FUNCTION onceward.confirm_history(bigint, text, text) IS
  'Lets calls be made as always again, after a person has compared with the providers; returns how many were held. Raises 55000 if there is nothing to confirm, OW004 if it is another life than was seen.';

REVOKE ALL ON FUNCTION onceward.timeline(), onceward.history_lost_since(), onceward.look_at_history(text, interval), onceward.confirm_history(bigint, text, text) FROM PUBLIC;
GRANT SELECT ON onceward.history TO onceward_participant, onceward_console, onceward_auditor;
GRANT EXECUTE ON FUNCTION onceward.timeline(), onceward.history_lost_since(), onceward.look_at_history(text, interval) TO onceward_participant;
GRANT EXECUTE ON FUNCTION onceward.timeline(), onceward.confirm_history(bigint, text, text) TO onceward_console;
