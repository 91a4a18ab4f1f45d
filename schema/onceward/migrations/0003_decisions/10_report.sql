-- What a provider reports by itself, for any language.

CREATE FUNCTION onceward.report(provider text, key text, reference text, applied boolean, body bytea, evidence_id uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  said text := CASE report.applied WHEN true THEN 'applied' WHEN false THEN 'not_applied' ELSE 'unclear' END;
  known onceward.evidence;
BEGIN
  INSERT INTO onceward.evidence (id, provider, key, reference, kind, says, body, body_sha256, by_actor)
  VALUES (report.evidence_id, report.provider, report.key, report.reference, 'webhook', said, report.body, sha256(report.body), report.provider)
  ON CONFLICT (id) DO NOTHING;
  IF FOUND THEN
    RETURN true;
  END IF;
  SELECT * INTO known FROM onceward.evidence e WHERE e.id = report.evidence_id;
  -- Not the body: a provider that reports the same again may tell in it how often it has tried.
  IF (known.kind, known.provider, known.key, known.reference, known.says) IS DISTINCT FROM ('webhook', report.provider, report.key, report.reference, said) THEN
    RAISE EXCEPTION 'evidence_id: % is another report already', report.evidence_id USING ERRCODE = 'unique_violation';
  END IF;
  RETURN false;
END $$;
COMMENT ON FUNCTION onceward.report(text, text, text, boolean, bytea, uuid) IS
  'Keeps a provider''s report about a call: applied, not applied or, with NULL, unclear. A worker finds the call by its key, else by the provider''s reference. Returns false if it was reported before; raises 23505 if that report said something else.';

REVOKE ALL ON FUNCTION onceward.report(text, text, text, boolean, bytea, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.report(text, text, text, boolean, bytea, uuid) TO onceward_participant;
