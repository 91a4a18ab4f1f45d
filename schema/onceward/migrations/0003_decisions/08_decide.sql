-- What people decide about calls and flows. Nothing is carried out here: a worker does that, which has the provider's code.

CREATE FUNCTION onceward.subject_of_decision(verb text, subject uuid, OUT kind text, OUT version bigint, OUT amount numeric, OUT currency text)
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  kind := onceward.subject_kind(subject_of_decision.verb);
  IF kind IS NULL THEN
    RAISE EXCEPTION 'verb: % is no decision', subject_of_decision.verb
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give applied, not_applied, new_key, refund or accept_difference for a call, undo or close for a flow.';
  ELSIF kind = 'call' THEN
    SELECT c.version, c.amount, c.currency INTO version, amount, currency FROM onceward.call c WHERE c.id = subject FOR UPDATE;
  ELSE
    SELECT f.version INTO version FROM onceward.flow f WHERE f.id = subject FOR UPDATE;
    SELECT max(c.amount), min(c.currency) INTO amount, currency
      FROM onceward.call c WHERE c.flow_id = subject AND c.undoes IS NULL AND c.state = 'succeeded' HAVING count(DISTINCT c.currency) = 1;
  END IF;
  IF version IS NULL THEN
    RAISE EXCEPTION '%: there is no % %', kind, kind, subject USING ERRCODE = 'no_data_found';
  END IF;
END $$;
COMMENT ON FUNCTION onceward.subject_of_decision(text, uuid) IS
  'Locks what a decision is about and returns its version and the money at stake: of a flow that of its largest call, if all are in one currency. Raises 22023 for another verb, 02000 if there is no such call or flow.';

CREATE FUNCTION onceward.obstacle(verb text, subject uuid) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT v.obstacle FROM onceward.call_verbs(obstacle.subject) v WHERE v.verb = obstacle.verb
  UNION ALL
  SELECT v.obstacle FROM onceward.flow_verbs(obstacle.subject) v WHERE v.verb = obstacle.verb
$$;
COMMENT ON FUNCTION onceward.obstacle(text, uuid) IS 'What is in the way of a verb; NULL: nothing.';

CREATE FUNCTION onceward.propose(id uuid, verb text, subject uuid, seen_version bigint, actor text, reason text, body jsonb DEFAULT '{}',
  amount numeric DEFAULT NULL, currency text DEFAULT NULL, evidence uuid DEFAULT NULL, batch uuid DEFAULT NULL) RETURNS onceward.resolution
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  about record;
  known onceward.resolution;
  wanted onceward.resolution;
  waits text;
  obstacle text;
BEGIN
  about := onceward.subject_of_decision(propose.verb, propose.subject);
  wanted.id := propose.id;
  wanted.verb := propose.verb;
  wanted.call_id := CASE about.kind WHEN 'call' THEN propose.subject END;
  wanted.flow_id := CASE about.kind WHEN 'flow' THEN propose.subject END;
  wanted.seen_version := propose.seen_version;
  wanted.body := coalesce(propose.body, '{}');
  wanted.reason := btrim(propose.reason);
  wanted.evidence_id := propose.evidence;
  wanted.batch_id := propose.batch;
  wanted.proposed_by := btrim(propose.actor);

  SELECT * INTO known FROM onceward.resolution r WHERE r.id = propose.id;
  IF known.id IS NOT NULL THEN
    IF (known.verb, known.call_id, known.flow_id, known.seen_version, known.body, known.reason, known.evidence_id, known.batch_id, onceward.person(known.proposed_by))
       IS DISTINCT FROM
       (wanted.verb, wanted.call_id, wanted.flow_id, wanted.seen_version, wanted.body, wanted.reason, wanted.evidence_id, wanted.batch_id, onceward.person(wanted.proposed_by))
       OR propose.amount <> known.amount OR propose.currency <> known.currency THEN
      RAISE EXCEPTION 'id: % is another decision already', propose.id USING ERRCODE = 'unique_violation', HINT = 'A new decision needs a new id.';
    END IF;
    RETURN known;
  END IF;

  IF about.version IS DISTINCT FROM propose.seen_version THEN
    RAISE EXCEPTION 'seen_version: the % has changed since it was seen: it is at version %, not %', about.kind, about.version, propose.seen_version
      USING ERRCODE = 'OW004', HINT = 'Look at it again, and decide by what it is now.';
  END IF;
  obstacle := onceward.obstacle(propose.verb, propose.subject);
  waits := onceward.open_decision(propose.subject);
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION '%: not possible for this %: %', propose.verb, about.kind, obstacle USING ERRCODE = 'object_not_in_prerequisite_state';
  ELSIF waits IS NOT NULL THEN
    RAISE EXCEPTION '%: not possible for this %: %', propose.verb, about.kind, waits
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Wait until it is carried out, or have it withdrawn or rejected.';
  ELSIF NOT coalesce(length(wanted.reason) BETWEEN 10 AND 4000, false) THEN
    RAISE EXCEPTION 'reason: say why, in 10 to 4000 characters' USING ERRCODE = 'check_violation';
  ELSIF NOT coalesce(wanted.proposed_by <> '', false) THEN
    RAISE EXCEPTION 'actor: say who decides this' USING ERRCODE = 'check_violation';
  END IF;
  PERFORM onceward.check_body(wanted, propose.amount, propose.currency);
  PERFORM onceward.check_money(propose.verb, propose.amount, propose.currency, about.amount, about.currency);
  PERFORM onceward.check_evidence(wanted);

  wanted.amount := coalesce(propose.amount, about.amount);
  wanted.currency := about.currency;
  wanted.approvals := onceward.approvals_needed(wanted.verb, propose.subject, wanted.amount, wanted.currency, wanted.batch_id);
  wanted.solo := wanted.approvals > 0 AND onceward.is_solo();
  IF wanted.solo AND about.amount IS NOT NULL AND propose.amount IS NULL THEN
    RAISE EXCEPTION 'amount: type the amount, for you decide this alone' USING ERRCODE = 'check_violation';
  END IF;
  wanted.proposed_role := session_user;
  wanted.proposed_at := clock_timestamp();
  IF wanted.approvals = 0 OR wanted.solo THEN
    wanted.state := 'approved';
    wanted.decided_by := wanted.proposed_by;
    wanted.decided_at := wanted.proposed_at;
    wanted.not_before := wanted.proposed_at + CASE WHEN wanted.solo THEN interval '10 minutes' ELSE '0' END;
  ELSE
    wanted.state := 'proposed';
  END IF;
  BEGIN
    INSERT INTO onceward.resolution SELECT wanted.*;
  EXCEPTION WHEN unique_violation THEN  -- the same id for another call or flow, just now
    RAISE EXCEPTION 'id: % is another decision already', propose.id USING ERRCODE = 'unique_violation', HINT = 'A new decision needs a new id.';
  END;
  PERFORM onceward.record_decision(wanted, 'propose', wanted.proposed_by, wanted.reason);
  RETURN wanted;
END $$;
COMMENT ON FUNCTION onceward.propose(uuid, text, uuid, bigint, text, text, jsonb, numeric, text, uuid, uuid) IS
  'Proposes a decision about a call or flow and returns it: approved at once where nobody else has to agree. The same id again is the same decision. Raises 22023 or 23514 with the field that is wrong, 02000 if there is no such call or flow, 23505 if the id is another decision, 55000 if the verb is not possible now, OW002 if more would be undone than was done, OW004 if the call or flow has changed since it was seen.';

CREATE FUNCTION onceward.check_body(wanted onceward.resolution, amount numeric, currency text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  called onceward.call;
  required jsonb;
  missing text;
  undone numeric;
BEGIN
  SELECT * INTO called FROM onceward.call c WHERE c.id = wanted.call_id;
  IF wanted.verb = 'applied' THEN
    IF NOT wanted.body ? 'result' OR wanted.body - 'result' <> '{}' THEN
      RAISE EXCEPTION 'body: applied needs {"result": ...}, what the provider would have answered, and nothing else' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT o.result_schema -> 'required' INTO required FROM onceward.operation o WHERE (o.provider, o.name) = (called.provider, called.operation);
    SELECT string_agg(field, ', ') INTO missing
      FROM jsonb_array_elements_text(CASE jsonb_typeof(required) WHEN 'array' THEN required ELSE '[]' END) field
     WHERE jsonb_typeof(wanted.body -> 'result') <> 'object' OR NOT wanted.body -> 'result' ? field;
    IF missing IS NOT NULL THEN
      RAISE EXCEPTION 'result: % of % is missing', missing, called.operation USING ERRCODE = 'invalid_parameter_value', HINT = 'Give what the provider would have answered.';
    END IF;
  ELSIF wanted.verb = 'refund' THEN
    IF wanted.body - 'request' <> '{}' OR jsonb_typeof(wanted.body -> 'request') <> 'object' THEN
      RAISE EXCEPTION 'body: a refund takes {"request": {...}}, what is sent to the provider, and nothing else' USING ERRCODE = 'invalid_parameter_value';
    ELSIF called.amount IS NULL AND amount IS NOT NULL THEN
      RAISE EXCEPTION 'amount: the call names none, so only all of it can be reversed' USING ERRCODE = 'invalid_parameter_value';
    ELSIF amount <> called.amount AND NOT wanted.body ? 'request' THEN
      RAISE EXCEPTION 'body: a refund of another amount than % % needs {"request": {...}}, what is sent to the provider', trim_scale(called.amount), called.currency
        USING ERRCODE = 'invalid_parameter_value';
    ELSIF called.undo_request IS NULL AND NOT wanted.body ? 'request' THEN
      RAISE EXCEPTION 'body: no request that reverses this call is known; give {"request": {...}}' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT coalesce(sum(u.amount), 0) INTO undone FROM onceward.call u WHERE u.undoes = called.id AND u.state NOT IN ('failed', 'cancelled');
    IF undone + coalesce(amount, called.amount) > called.amount THEN
      RAISE EXCEPTION 'amount: of % % are % undone already, or just being undone, so % are too much',
        trim_scale(called.amount), called.currency, trim_scale(undone), trim_scale(coalesce(amount, called.amount)) USING ERRCODE = 'OW002';
    END IF;
  ELSIF wanted.body <> '{}' THEN
    RAISE EXCEPTION 'body: % takes none', wanted.verb USING ERRCODE = 'invalid_parameter_value';
  END IF;
END $$;
COMMENT ON FUNCTION onceward.check_body(onceward.resolution, numeric, text) IS
  'Refuses a decision whose contents do not fit its verb: 22023 with the field, OW002 if more would be undone than was done.';

CREATE FUNCTION onceward.check_money(verb text, amount numeric, currency text, moved numeric, moved_currency text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF amount IS NOT NULL AND NOT (amount > 0 AND amount < 'Infinity') AND amount IS DISTINCT FROM moved THEN
    RAISE EXCEPTION 'amount: % is no amount of money', amount USING ERRCODE = 'invalid_parameter_value';
  ELSIF amount <> round(amount, 10) THEN
    RAISE EXCEPTION 'amount: % has more than 10 decimals', amount USING ERRCODE = 'invalid_parameter_value';
  ELSIF currency IS NOT NULL AND currency IS DISTINCT FROM moved_currency THEN
    RAISE EXCEPTION 'currency: it is %, not %', coalesce(moved_currency, 'none'), currency USING ERRCODE = 'invalid_parameter_value';
  ELSIF verb <> 'refund' AND amount IS NOT NULL AND amount IS DISTINCT FROM moved THEN
    RAISE EXCEPTION 'amount: it is %, not %', coalesce(trim_scale(moved) || ' ' || moved_currency, 'none'), trim_scale(amount) USING ERRCODE = 'invalid_parameter_value';
  END IF;
END $$;
COMMENT ON FUNCTION onceward.check_money(text, numeric, text, numeric, text) IS 'Refuses with 22023 money that is none, or is not that of the call or flow.';

CREATE FUNCTION onceward.check_evidence(wanted onceward.resolution) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  evidence onceward.evidence;
BEGIN
  IF wanted.evidence_id IS NULL THEN
    IF wanted.verb = 'applied' THEN
      RAISE EXCEPTION 'evidence: applied needs evidence that it took effect' USING ERRCODE = 'invalid_parameter_value', HINT = 'Add it with onceward.add_evidence() first.';
    END IF;
    RETURN;
  END IF;
  SELECT * INTO evidence FROM onceward.evidence e WHERE e.id = wanted.evidence_id;
  IF evidence.id IS NULL THEN
    RAISE EXCEPTION 'evidence: there is no evidence %', wanted.evidence_id USING ERRCODE = 'no_data_found';
  ELSIF evidence.call_id IS DISTINCT FROM wanted.call_id THEN
    RAISE EXCEPTION 'evidence: % is about another call', wanted.evidence_id USING ERRCODE = 'invalid_parameter_value';
  ELSIF (wanted.verb = 'applied' AND evidence.says <> 'applied') OR (wanted.verb IN ('not_applied', 'new_key') AND evidence.says = 'applied') THEN
    RAISE EXCEPTION 'evidence: % says %', wanted.evidence_id, evidence.says USING ERRCODE = 'invalid_parameter_value';
  END IF;
END $$;
COMMENT ON FUNCTION onceward.check_evidence(onceward.resolution) IS 'Refuses a decision without the evidence that it needs, or with evidence that does not bear it out: 22023, or 02000 if there is none of that id.';

CREATE FUNCTION onceward.record_decision(decision onceward.resolution, step text, actor text, reason text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT onceward.record(record_decision.actor, 'decision.' || record_decision.step, onceward.subject_kind(decision.verb), coalesce(decision.call_id, decision.flow_id)::text,
    record_decision.reason, jsonb_build_object('decision', decision.id, 'verb', decision.verb, 'state', decision.state, 'seen_version', decision.seen_version,
      'amount', decision.amount, 'currency', decision.currency, 'evidence', decision.evidence_id, 'batch', decision.batch_id,
      'body_sha256', encode(sha256(convert_to(decision.body::text, 'UTF8')), 'hex'),
      'approvals', decision.approvals, 'solo', decision.solo, 'proposed_by', decision.proposed_by, 'not_before', decision.not_before, 'outcome', decision.outcome))
$$;
COMMENT ON FUNCTION onceward.record_decision(onceward.resolution, text, text, text) IS 'Writes a step of a decision into the audit: its contents only as SHA-256.';

CREATE FUNCTION onceward.decision(id uuid) RETURNS onceward.resolution
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  found onceward.resolution;
BEGIN
  SELECT * INTO found FROM onceward.resolution r WHERE r.id = decision.id FOR UPDATE;
  IF found.id IS NULL THEN
    RAISE EXCEPTION 'decision: there is no decision %', decision.id USING ERRCODE = 'no_data_found', HINT = '`onceward approvals list` shows what waits.';
  END IF;
  RETURN found;
END $$;
COMMENT ON FUNCTION onceward.decision(uuid) IS 'Locks a decision. Raises 02000 if there is no such one.';

CREATE FUNCTION onceward.approve(id uuid, actor text, reason text) RETURNS onceward.resolution
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.resolution := onceward.decision(approve.id);
  subject uuid := coalesce(found.call_id, found.flow_id);
  about record;
  obstacle text;
BEGIN
  IF found.state IN ('approved', 'applied') AND onceward.person(found.decided_by) = onceward.person(approve.actor) AND NOT found.solo AND found.approvals > 0 THEN
    RETURN found;  -- the same button, pressed twice
  ELSIF found.state <> 'proposed' THEN
    RAISE EXCEPTION 'decision: % is % already', approve.id, found.state USING ERRCODE = 'object_not_in_prerequisite_state';
  ELSIF onceward.person(approve.actor) = onceward.person(found.proposed_by) THEN
    RAISE EXCEPTION 'actor: % has proposed this, so another person has to agree', found.proposed_by USING ERRCODE = 'OW005';
  END IF;
  about := onceward.subject_of_decision(found.verb, subject);
  obstacle := CASE WHEN about.version <> found.seen_version THEN format('the %s has changed since it was proposed', about.kind)
                   ELSE onceward.obstacle(found.verb, subject) END;
  UPDATE onceward.resolution r
     SET state = CASE WHEN obstacle IS NULL THEN 'approved' ELSE 'stale' END, outcome = obstacle,
         not_before = CASE WHEN obstacle IS NULL THEN clock_timestamp() END,
         ended_at = CASE WHEN obstacle IS NOT NULL THEN clock_timestamp() END,
         decided_by = btrim(approve.actor), decided_at = clock_timestamp(), decision_note = approve.reason
   WHERE r.id = found.id RETURNING * INTO found;
  PERFORM onceward.record_decision(found, 'approve', approve.actor, approve.reason);
  RETURN found;
END $$;
COMMENT ON FUNCTION onceward.approve(uuid, text, text) IS
  'Agrees to what another person has proposed and returns it: approved, or stale if the facts have changed since. Raises 02000 if there is no such decision, 55000 if it is not open, OW005 if the same person has proposed it.';

CREATE FUNCTION onceward.reject(id uuid, actor text, reason text) RETURNS onceward.resolution
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.resolution := onceward.decision(reject.id);
BEGIN
  IF onceward.person(reject.actor) = onceward.person(found.proposed_by) THEN
    RAISE EXCEPTION 'actor: % has proposed this', found.proposed_by USING ERRCODE = 'OW005', HINT = 'Withdraw it instead.';
  END IF;
  RETURN onceward.drop_decision(found, 'rejected', 'reject', reject.actor, reject.reason);
END $$;
COMMENT ON FUNCTION onceward.reject(uuid, text, text) IS
  'Refuses what another person has proposed, or stops it before it is carried out. Raises 02000 if there is no such decision, 55000 if it has ended, OW005 if the same person has proposed it.';

CREATE FUNCTION onceward.withdraw(id uuid, actor text, reason text) RETURNS onceward.resolution
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.resolution := onceward.decision(withdraw.id);
BEGIN
  IF onceward.person(withdraw.actor) IS DISTINCT FROM onceward.person(found.proposed_by) THEN
    RAISE EXCEPTION 'actor: only %, who has proposed this, may withdraw it', found.proposed_by USING ERRCODE = 'OW005', HINT = 'Reject it instead.';
  END IF;
  RETURN onceward.drop_decision(found, 'withdrawn', 'withdraw', withdraw.actor, withdraw.reason);
END $$;
COMMENT ON FUNCTION onceward.withdraw(uuid, text, text) IS
  'Takes back what one has proposed, before it is carried out. Raises 02000 if there is no such decision, 55000 if it has ended, OW005 if another person has proposed it.';

CREATE FUNCTION onceward.drop_decision(undecided onceward.resolution, state text, step text, actor text, reason text) RETURNS onceward.resolution
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF undecided.state = drop_decision.state THEN
    RETURN undecided;  -- the same button, pressed twice
  ELSIF undecided.state NOT IN ('proposed', 'approved') THEN
    RAISE EXCEPTION 'decision: % is % already', undecided.id, undecided.state USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE onceward.resolution r
     SET state = drop_decision.state, decided_by = btrim(drop_decision.actor), decided_at = clock_timestamp(), decision_note = drop_decision.reason, ended_at = clock_timestamp()
   WHERE r.id = undecided.id RETURNING * INTO undecided;
  PERFORM onceward.record_decision(undecided, drop_decision.step, drop_decision.actor, drop_decision.reason);
  RETURN undecided;
END $$;
COMMENT ON FUNCTION onceward.drop_decision(onceward.resolution, text, text, text, text) IS 'Ends a decision that is not carried out yet. Raises 55000 if it has ended.';

CREATE FUNCTION onceward.denied(actor text, action text, subject_kind text, subject text, reason text, error text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT onceward.record(coalesce(nullif(btrim(denied.actor), ''), session_user), 'denied',
    coalesce(onceward.subject_kind(r.verb), denied.subject_kind), coalesce(r.call_id::text, r.flow_id::text, denied.subject),
    coalesce(nullif(btrim(left(denied.reason, 4000)), ''), 'none given'),
    jsonb_strip_nulls(jsonb_build_object('action', denied.action, 'error', left(denied.error, 1000), 'decision', r.id)))
    FROM (SELECT CASE WHEN denied.subject_kind = 'decision' AND denied.subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN denied.subject::uuid END AS id) tried
    LEFT JOIN onceward.resolution r ON r.id = tried.id
$$;
COMMENT ON FUNCTION onceward.denied(text, text, text, text, text, text) IS
  'Records that somebody tried what they may not do; of a decision as being about its call or flow. The attempt itself was rolled back, so the program that asked calls this in a transaction of its own.';
