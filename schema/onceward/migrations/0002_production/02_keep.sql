-- How long settled messages stay in the outbox, so that they can be sent again. Slots are as long as that needs: two thirds of the time.
-- A slot is emptied `keep_for` after it ended, and must be by the time it is written to again, two slots later: a third of the time is left for it.

CREATE FUNCTION onceward.keep_for() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 0;
COMMENT ON FUNCTION onceward.keep_for() IS
  'Seconds for which the outbox keeps messages that are settled. Its text is the setting, so that an insert looks nothing up: see onceward.keep_outbox_for().';

CREATE FUNCTION onceward.slot_period() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN greatest(600, onceward.keep_for() / 3 * 2);
COMMENT ON FUNCTION onceward.slot_period() IS 'Seconds after which the next slot of the outbox is written to.';

CREATE OR REPLACE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()) / onceward.slot_period())::bigint % 3)::smallint;
COMMENT ON FUNCTION onceward.slot() IS
  'The outbox slot of this transaction: 0, 1 or 2, changing every slot_period() seconds, so that a slot which is not current can be emptied at one stroke.';

CREATE FUNCTION onceward.slot_ended(part smallint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
  SELECT to_timestamp((turn - (turn - part + 2) % 3) * onceward.slot_period()::bigint)
    FROM (SELECT floor(EXTRACT(epoch FROM now()) / onceward.slot_period())::bigint AS turn) clock
$$;
COMMENT ON FUNCTION onceward.slot_ended(smallint) IS 'When a slot was last left for the next one: all rows of it are of transactions that began before.';

CREATE TABLE onceward.slot_emptied (
  slot smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 2),
  emptied_at timestamptz NOT NULL,
  rows_before timestamptz NOT NULL
);
COMMENT ON TABLE onceward.slot_emptied IS 'When each slot of the outbox was last emptied. What was written since the newest rows_before is all there, and can be sent again.';
COMMENT ON COLUMN onceward.slot_emptied.slot IS 'Which slot.';
COMMENT ON COLUMN onceward.slot_emptied.emptied_at IS 'When it was emptied, or the time for which messages are kept was changed.';
COMMENT ON COLUMN onceward.slot_emptied.rows_before IS 'All that is gone was written by transactions that had begun before.';

CREATE FUNCTION onceward.emptied(part smallint, p_rows_before timestamptz) RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
  INSERT INTO onceward.slot_emptied VALUES (part, now(), p_rows_before)
  ON CONFLICT (slot) DO UPDATE SET emptied_at = excluded.emptied_at, rows_before = greatest(slot_emptied.rows_before, excluded.rows_before)
$$;
COMMENT ON FUNCTION onceward.emptied(smallint, timestamptz) IS 'Notes that rows of a slot are gone, or may be.';

CREATE FUNCTION onceward.keep_outbox_for(p_seconds integer, p_actor text, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  before integer := onceward.keep_for();
BEGIN
  IF p_seconds IS NULL OR p_seconds NOT BETWEEN 0 AND 2678400 THEN
    RAISE EXCEPTION 'seconds: must be 0 to 2678400, which is 31 days' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('CREATE OR REPLACE FUNCTION onceward.keep_for() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN %s', p_seconds);
  -- The slots of before end at other times than those of now, so nothing is promised of their rows.
  PERFORM onceward.emptied(part::smallint, clock_timestamp()) FROM generate_series(0, 2) part;
  PERFORM onceward.record(p_actor, 'outbox.keep', 'outbox', current_database(), p_reason, jsonb_build_object('seconds', p_seconds, 'before', before));
END $$;
COMMENT ON FUNCTION onceward.keep_outbox_for(integer, text, text) IS
  'Keeps settled messages in the outbox for at least so many seconds from now on; it then holds what is written in up to 5/3 of that time. 0: only until a slot can be emptied. Audited.';

REVOKE ALL ON FUNCTION onceward.keep_for(), onceward.slot_period(), onceward.slot_ended(smallint), onceward.emptied(smallint, timestamptz),
  onceward.keep_outbox_for(integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.keep_for(), onceward.slot_period() TO onceward_participant, onceward_relay, onceward_console, onceward_auditor;
GRANT EXECUTE ON FUNCTION onceward.slot() TO onceward_relay;
GRANT EXECUTE ON FUNCTION onceward.keep_outbox_for(integer, text, text) TO onceward_console;
GRANT SELECT ON onceward.slot_emptied TO onceward_relay, onceward_console, onceward_auditor;
