-- What others say about a call: webhooks, statements, people.

CREATE TABLE onceward.evidence (
  id uuid PRIMARY KEY,
  call_id uuid REFERENCES onceward.call,
  provider text NOT NULL,
  key text,
  reference text,
  kind text NOT NULL CHECK (kind IN ('webhook', 'statement', 'provider_screen', 'provider_support', 'late_answer')),
  says text NOT NULL CHECK (says IN ('applied', 'not_applied', 'unclear')),
  body bytea CHECK (octet_length(body) <= 1048576),
  body_sha256 bytea CHECK (octet_length(body_sha256) = 32),
  by_actor text NOT NULL CHECK (by_actor <> ''),
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  due_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  handled_at timestamptz,
  purged_at timestamptz,
  CONSTRAINT evidence_is_about_something CHECK (num_nonnulls(call_id, key, reference) > 0),
  CONSTRAINT a_body_has_a_digest CHECK (body IS NULL OR body_sha256 IS NOT NULL)
);
CREATE INDEX evidence_call ON onceward.evidence (call_id);
CREATE INDEX evidence_unhandled ON onceward.evidence (due_at) WHERE handled_at IS NULL;
COMMENT ON TABLE onceward.evidence IS 'What a provider or a person says about a call. Written once; a worker acts on it.';
COMMENT ON COLUMN onceward.evidence.id IS 'Identity, of who reports it: the same report again changes nothing.';
COMMENT ON COLUMN onceward.evidence.call_id IS 'The call, once it is known which.';
COMMENT ON COLUMN onceward.evidence.provider IS 'Provider.';
COMMENT ON COLUMN onceward.evidence.key IS 'Idempotency key of the call that it is about, if that is known.';
COMMENT ON COLUMN onceward.evidence.reference IS 'The provider''s reference, or what else one finds it by.';
COMMENT ON COLUMN onceward.evidence.kind IS 'Where it comes from.';
COMMENT ON COLUMN onceward.evidence.says IS 'Whether the call took effect.';
COMMENT ON COLUMN onceward.evidence.body IS 'The report itself, at most 1048576 bytes.';
COMMENT ON COLUMN onceward.evidence.body_sha256 IS 'SHA-256 of it; it stays when the report is purged.';
COMMENT ON COLUMN onceward.evidence.by_actor IS 'Who brought it.';
COMMENT ON COLUMN onceward.evidence.at IS 'When.';
COMMENT ON COLUMN onceward.evidence.due_at IS 'When a worker looks at it, unless it is handled: again and again while its call is not known, or still under way.';
COMMENT ON COLUMN onceward.evidence.handled_at IS 'When a worker had acted on it, or a person''s decision had made use of it.';
COMMENT ON COLUMN onceward.evidence.purged_at IS 'When the report was removed for the sake of personal data.';

CREATE FUNCTION onceward.evidence_is_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  free text[] := '{due_at,handled_at,purged_at}';
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.call_id IS NULL THEN
      free := free || 'call_id'::text;
    END IF;
    IF NEW.purged_at IS NOT NULL AND NEW.body IS NULL THEN
      free := free || 'body'::text;
    END IF;
    IF to_jsonb(NEW) - free = to_jsonb(OLD) - free THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'evidence % is not changed any more', OLD.id USING ERRCODE = 'OW001';
END $$;
COMMENT ON FUNCTION onceward.evidence_is_final() IS 'Refuses to change or delete evidence, but for what is found out about it and the purge of its contents.';
CREATE TRIGGER evidence_final BEFORE UPDATE OR DELETE ON onceward.evidence FOR EACH ROW EXECUTE FUNCTION onceward.evidence_is_final();
