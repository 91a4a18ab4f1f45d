-- What people decided, and why: append-only, each row chained to the one before, so that a changed or missing row shows.

CREATE TABLE onceward.audit (
  no bigint PRIMARY KEY CHECK (no > 0),
  at timestamptz NOT NULL,
  actor text NOT NULL CONSTRAINT an_actor_has_a_name CHECK (actor <> ''),
  db_role name NOT NULL,
  action text NOT NULL,
  subject_kind text NOT NULL,
  subject text NOT NULL,
  reason text NOT NULL CONSTRAINT a_decision_has_a_reason CHECK (reason <> ''),
  body jsonb NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL
);
CREATE INDEX audit_subject ON onceward.audit (subject_kind, subject, no);
COMMENT ON TABLE onceward.audit IS 'Every decision of a person, in the transaction that carries it out. Append-only; a hash chain.';
COMMENT ON COLUMN onceward.audit.no IS 'Number without gaps.';
COMMENT ON COLUMN onceward.audit.at IS 'When.';
COMMENT ON COLUMN onceward.audit.actor IS 'Who decided, as the program that asked says.';
COMMENT ON COLUMN onceward.audit.db_role IS 'Role that was logged in to the database.';
COMMENT ON COLUMN onceward.audit.action IS 'What was done: hold.release, message.skip, outbox.replay and so on.';
COMMENT ON COLUMN onceward.audit.subject_kind IS 'What it was done to: hold, message, outbox, call and so on.';
COMMENT ON COLUMN onceward.audit.subject IS 'Identity of that.';
COMMENT ON COLUMN onceward.audit.reason IS 'Why, in the person''s words.';
COMMENT ON COLUMN onceward.audit.body IS 'Facts: never a payload, a key or a secret.';
COMMENT ON COLUMN onceward.audit.previous IS 'hash of the row before; 32 zero bytes for the first.';
COMMENT ON COLUMN onceward.audit.hash IS 'SHA-256 of this row: see onceward.audit_hash().';

CREATE FUNCTION onceward.audit_hash(entry onceward.audit) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN pg_catalog.sha256(entry.previous || pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    entry.no, EXTRACT(epoch FROM entry.at), entry.actor, entry.db_role, entry.action, entry.subject_kind, entry.subject, entry.reason, entry.body)::text, 'UTF8'));
COMMENT ON FUNCTION onceward.audit_hash(onceward.audit) IS 'SHA-256 of the hash before and of all columns as a JSON array; the time in seconds since 1970.';

CREATE FUNCTION onceward.record(p_actor text, p_action text, p_subject_kind text, p_subject text, p_reason text, p_body jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  entry onceward.audit;
BEGIN
  IF p_actor IS NULL OR btrim(p_actor) = '' THEN
    RAISE EXCEPTION 'actor: say who decides this' USING ERRCODE = 'check_violation';
  ELSIF p_reason IS NULL OR btrim(p_reason) = '' THEN
    RAISE EXCEPTION 'reason: say why' USING ERRCODE = 'check_violation';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('onceward.audit', 0));  -- the chain has one end
  SELECT * INTO entry FROM onceward.audit ORDER BY no DESC LIMIT 1;
  entry := ROW(coalesce(entry.no, 0) + 1, clock_timestamp(), p_actor, session_user, p_action, p_subject_kind, p_subject, p_reason, p_body,
               coalesce(entry.hash, decode(repeat('00', 32), 'hex')), NULL)::onceward.audit;
  entry.hash := onceward.audit_hash(entry);
  INSERT INTO onceward.audit SELECT entry.*;
  RETURN entry.no;
END $$;
COMMENT ON FUNCTION onceward.record(text, text, text, text, text, jsonb) IS
  'Writes an audit entry and returns its number. For the functions of this schema, which check who may do what; nobody else may call it.';

CREATE FUNCTION onceward.audit_is_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'OW003';
END $$;
COMMENT ON FUNCTION onceward.audit_is_final() IS 'Refuses every change of the audit.';
CREATE TRIGGER audit_final BEFORE UPDATE OR DELETE OR TRUNCATE ON onceward.audit FOR EACH STATEMENT EXECUTE FUNCTION onceward.audit_is_final();

REVOKE ALL ON FUNCTION onceward.audit_hash(onceward.audit), onceward.record(text, text, text, text, text, jsonb), onceward.audit_is_final() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.audit_hash(onceward.audit) TO onceward_console, onceward_auditor;
GRANT SELECT ON onceward.audit TO onceward_console, onceward_auditor;
