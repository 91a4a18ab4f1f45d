-- What people see of requests and results: the fields that their operation allows; the rest when they say why they need it.

CREATE FUNCTION onceward.masked(document jsonb, shown text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
  SELECT CASE jsonb_typeof(document)
    WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = ANY(shown) THEN value ELSE '"***"' END), '{}') FROM jsonb_each(document))
    WHEN 'null' THEN document
    ELSE CASE WHEN document IS NOT NULL THEN '"***"'::jsonb END END
$$;
COMMENT ON FUNCTION onceward.masked(jsonb, text[]) IS 'A document in which only the fields that are named can be read; *** stands for the others.';

CREATE FUNCTION onceward.masked(document bytea, shown text[]) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
  RETURN onceward.masked(convert_from(document, 'UTF8')::jsonb, shown);
EXCEPTION WHEN OTHERS THEN
  RETURN '"***"';  -- no JSON that PostgreSQL takes: it is shown when it is revealed
END $$;
COMMENT ON FUNCTION onceward.masked(bytea, text[]) IS 'The same for the bytes of a document; what cannot be read is masked whole.';

CREATE VIEW onceward.call_shown AS
  SELECT c.id, c.flow_id, c.step, c.take, c.seq, c.provider, c.operation, c.key, onceward.masked(c.request, o.shown) AS request, octet_length(c.request) AS request_bytes,
         c.fingerprint, c.ref, c.amount, c.currency, c.pivot, c.state, c.ambiguous, c.due_at, c.epoch, c.worker, c.attempts, c.first_sent_at, c.send_by, c.start_before,
         c.expect_by, c.scope, c.provider_ref, onceward.masked(c.result, o.shown) AS result, o.undo, onceward.masked(c.undo_request, u.shown) AS undo_request, c.undoes,
         c.error_code, c.error_text, c.asked, c.difference, c.difference_accepted_at, c.conflict_at, c.settled_at, c.settled_by, c.resolution_id, c.purged_at,
         c.version, c.created_at, c.trace
    FROM onceward.call c
    JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation)
    LEFT JOIN onceward.operation u ON (u.provider, u.name) = (o.provider, o.undo);
COMMENT ON VIEW onceward.call_shown IS 'Calls as people see them: of request, result and undo_request the fields that the operation allows to be shown, *** for the others.';

CREATE VIEW onceward.flow_step_shown AS
  SELECT s.flow_id, s.step, s.seq, s.kind, s.fingerprint, s.until, s.at, CASE s.kind WHEN 'wait' THEN s.result IS NULL WHEN 'sleep' THEN s.until > clock_timestamp() ELSE false END AS waits
    FROM onceward.flow_step s;
COMMENT ON VIEW onceward.flow_step_shown IS 'Steps as people see them: without what they returned, but with whether the flow still waits there.';

CREATE VIEW onceward.resolution_shown AS
  SELECT r.id, r.call_id, r.flow_id, r.verb, r.seen_version,
         (SELECT coalesce(jsonb_object_agg(part.key, onceward.masked(part.value, CASE part.key WHEN 'request' THEN u.shown ELSE o.shown END)), '{}')
            FROM jsonb_each(r.body) part) AS body,
         r.amount, r.currency, r.reason, r.evidence_id, r.batch_id, r.approvals, r.solo, r.state, r.proposed_by, r.proposed_role, r.proposed_at, r.decided_by, r.decided_at,
         r.decision_note, r.not_before, r.ended_at, r.outcome
    FROM onceward.resolution r
    LEFT JOIN onceward.call c ON c.id = r.call_id
    LEFT JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation)
    LEFT JOIN onceward.operation u ON (u.provider, u.name) = (o.provider, o.undo);
COMMENT ON VIEW onceward.resolution_shown IS 'Decisions as people see them: of the result or request that they bring the fields that its operation allows to be shown.';

CREATE FUNCTION onceward.reveal(call uuid, actor text, reason text) RETURNS TABLE (what text, content bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.call;
BEGIN
  SELECT * INTO found FROM onceward.call c WHERE c.id = reveal.call;
  IF found.id IS NULL THEN
    RAISE EXCEPTION 'call: there is no call %', reveal.call USING ERRCODE = 'no_data_found';
  ELSIF found.purged_at IS NOT NULL THEN
    RAISE EXCEPTION 'reveal: not possible for this call: its contents were purged' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM onceward.record(reveal.actor, 'call.reveal', 'call', found.id::text, reveal.reason);
  RETURN QUERY
    SELECT part.name, part.bytes
      FROM (VALUES ('request', found.request), ('result', convert_to(found.result::text, 'UTF8')), ('undo_request', found.undo_request)) AS part (name, bytes)
     WHERE part.bytes IS NOT NULL;
  RETURN QUERY
    SELECT 'answer of attempt ' || a.no, a.answer FROM onceward.attempt a WHERE a.call_id = found.id AND a.answer IS NOT NULL ORDER BY a.no;
  RETURN QUERY
    SELECT 'evidence ' || e.id, e.body FROM onceward.evidence e WHERE e.call_id = found.id AND e.body IS NOT NULL ORDER BY e.at;
  RETURN QUERY
    SELECT format('decision %s: %s', r.id, r.verb), convert_to(r.body::text, 'UTF8') FROM onceward.resolution r WHERE r.call_id = found.id AND r.body <> '{}' ORDER BY r.proposed_at;
END $$;
COMMENT ON FUNCTION onceward.reveal(uuid, text, text) IS
  'Returns what was sent and answered, and the evidence, unmasked, and records who asked for it and why. Raises 02000 if there is no such call, 55000 if it was purged.';

CREATE FUNCTION onceward.audit_head() RETURNS TABLE (no bigint, hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT a.no, encode(a.hash, 'hex') FROM onceward.audit a ORDER BY a.no DESC LIMIT 1
$$;
COMMENT ON FUNCTION onceward.audit_head() IS
  'Number and hash of the newest entry of the audit. Kept somewhere else, they show later that none was cut off. No row: the audit is empty.';
