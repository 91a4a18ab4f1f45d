-- What a person brings forward about a call.

CREATE FUNCTION onceward.add_evidence(id uuid, call uuid, kind text, says text, reference text, body bytea, actor text) RETURNS onceward.evidence
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  about onceward.call;
  known onceward.evidence;
  added onceward.evidence;
BEGIN
  IF NOT coalesce(add_evidence.kind IN ('statement', 'provider_screen', 'provider_support'), false) THEN
    RAISE EXCEPTION 'kind: % is not what a person brings', add_evidence.kind
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give statement, provider_screen or provider_support.';
  ELSIF NOT coalesce(add_evidence.says IN ('applied', 'not_applied', 'unclear'), false) THEN
    RAISE EXCEPTION 'says: % is neither applied nor not_applied nor unclear', add_evidence.says USING ERRCODE = 'invalid_parameter_value';
  ELSIF octet_length(add_evidence.body) > 1048576 THEN
    RAISE EXCEPTION 'body: % bytes are more than 1048576', octet_length(add_evidence.body) USING ERRCODE = 'invalid_parameter_value';
  ELSIF coalesce(btrim(add_evidence.reference), '') = '' AND coalesce(octet_length(add_evidence.body), 0) = 0 THEN
    RAISE EXCEPTION 'reference: give the provider''s reference, or the report itself' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT * INTO about FROM onceward.call c WHERE c.id = add_evidence.call FOR UPDATE;
  IF about.id IS NULL THEN
    RAISE EXCEPTION 'call: there is no call %', add_evidence.call USING ERRCODE = 'no_data_found';
  END IF;
  SELECT * INTO known FROM onceward.evidence e WHERE e.id = add_evidence.id;
  IF known.id IS NOT NULL THEN
    IF (known.call_id, known.kind, known.says, known.reference, known.body_sha256)
       IS DISTINCT FROM (about.id, add_evidence.kind, add_evidence.says, nullif(btrim(add_evidence.reference), ''), sha256(add_evidence.body)) THEN
      RAISE EXCEPTION 'id: % is other evidence already', add_evidence.id USING ERRCODE = 'unique_violation', HINT = 'New evidence needs a new id.';
    END IF;
    RETURN known;
  END IF;
  -- Handled: what a person brings settles nothing by itself, only by a decision.
  INSERT INTO onceward.evidence (id, call_id, provider, key, reference, kind, says, body, body_sha256, by_actor, handled_at)
  VALUES (add_evidence.id, about.id, about.provider, about.key, nullif(btrim(add_evidence.reference), ''), add_evidence.kind, add_evidence.says,
          add_evidence.body, sha256(add_evidence.body), btrim(add_evidence.actor), clock_timestamp())
  RETURNING * INTO added;
  PERFORM onceward.record(add_evidence.actor, 'evidence.add', 'call', about.id::text, format('%s says %s', added.kind, added.says),
    jsonb_build_object('evidence', added.id, 'reference', added.reference, 'body_sha256', encode(added.body_sha256, 'hex'), 'bytes', octet_length(added.body)));
  IF (about.state = 'succeeded' AND added.says = 'not_applied') OR (about.state IN ('failed', 'cancelled') AND added.says = 'applied') THEN
    PERFORM onceward.flag_conflict(about, added);
  END IF;
  RETURN added;
END $$;
COMMENT ON FUNCTION onceward.add_evidence(uuid, uuid, text, text, text, bytea, text) IS
  'Adds to a call what a person has found out and returns it; the same id again is the same evidence. If it contradicts how the call is settled, an incident says so. Raises 22023 with the field that is wrong, 02000 if there is no such call, 23505 if the id is other evidence.';

CREATE FUNCTION onceward.flag_conflict(about onceward.call, evidence onceward.evidence) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  UPDATE onceward.call c SET conflict_at = coalesce(c.conflict_at, clock_timestamp()), version = c.version + 1 WHERE c.id = about.id;
  INSERT INTO onceward.incident (kind, call_id, flow_id, grp, severity, title, ref, amount, currency)
  VALUES ('conflict', about.id, about.flow_id, format('%s/%s/%s', about.provider, about.operation, coalesce(about.error_code, 'conflict')), 1,
          format('%s/%s is recorded as %s, but a %s of %s says %s', about.provider, about.operation, about.state, evidence.kind, evidence.by_actor, evidence.says),
          about.ref, about.amount, about.currency)
  ON CONFLICT (kind, (coalesce(call_id, flow_id, message_id))) WHERE closed_at IS NULL DO UPDATE SET times = incident.times + 1
$$;
COMMENT ON FUNCTION onceward.flag_conflict(onceward.call, onceward.evidence) IS 'Tells people of evidence that contradicts how a call is settled.';
