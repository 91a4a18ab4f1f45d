-- What people do at once, without a decision that others would have to agree to: ask, pause, resume, take an incident, stop a provider.

CREATE FUNCTION onceward.require(verb text, kind text, subject uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  obstacle text := onceward.obstacle(require.verb, require.subject);
BEGIN
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION '%: not possible for this %: %', require.verb, require.kind, obstacle USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;
COMMENT ON FUNCTION onceward.require(text, text, uuid) IS 'Raises 55000 with what is in the way of a verb, if anything is.';

CREATE FUNCTION onceward.ask(call uuid, what text, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  before text;
BEGIN
  IF ask.what NOT IN ('lookup', 'resend') THEN
    RAISE EXCEPTION 'what: % is neither lookup nor resend', ask.what USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT c.state INTO before FROM onceward.call c WHERE c.id = ask.call FOR UPDATE;
  IF before IS NULL THEN
    RAISE EXCEPTION 'call: there is no call %', ask.call USING ERRCODE = 'no_data_found';
  END IF;
  PERFORM onceward.require(ask.what, 'call', ask.call);
  -- The version stays: nothing has changed by which somebody decides.
  UPDATE onceward.call c SET asked = CASE WHEN before <> 'pending' THEN ask.what END, due_at = clock_timestamp() WHERE c.id = ask.call;
  PERFORM onceward.record(ask.actor, 'call.' || ask.what, 'call', ask.call::text, ask.reason, jsonb_build_object('state', before));
END $$;
COMMENT ON FUNCTION onceward.ask(uuid, text, text, text) IS
  'Lets the worker look a call up, or send it again if that is safe, now. Raises 22023 for another verb, 02000 if there is no such call, 55000 with the reason if it would not help.';

CREATE FUNCTION onceward.resume(flow uuid, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  before onceward.flow;
BEGIN
  SELECT * INTO before FROM onceward.flow f WHERE f.id = resume.flow FOR UPDATE;
  IF before.id IS NULL THEN
    RAISE EXCEPTION 'flow: there is no flow %', resume.flow USING ERRCODE = 'no_data_found';
  END IF;
  PERFORM onceward.require('resume', 'flow', resume.flow);
  UPDATE onceward.flow f
     SET paused_at = NULL, failures = 0, signals = signals + 1, version = version + 1,
         state = CASE before.state WHEN 'blocked' THEN 'running' ELSE before.state END,
         due_at = CASE before.state WHEN 'blocked' THEN clock_timestamp() ELSE before.due_at END
   WHERE f.id = resume.flow;
  PERFORM onceward.record(resume.actor, 'flow.resume', 'flow', resume.flow::text, resume.reason,
    jsonb_build_object('state', before.state, 'paused_at', before.paused_at));
END $$;
COMMENT ON FUNCTION onceward.resume(uuid, text, text) IS
  'Lets workers carry on with a flow that is blocked or paused. Raises 02000 if there is no such flow, 55000 if it is neither.';

CREATE FUNCTION onceward.pause(flow uuid, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  before onceward.flow;
BEGIN
  SELECT * INTO before FROM onceward.flow f WHERE f.id = pause.flow FOR UPDATE;
  IF before.id IS NULL THEN
    RAISE EXCEPTION 'flow: there is no flow %', pause.flow USING ERRCODE = 'no_data_found';
  END IF;
  PERFORM onceward.require('pause', 'flow', pause.flow);
  UPDATE onceward.flow f SET paused_at = clock_timestamp(), version = version + 1 WHERE f.id = pause.flow;
  PERFORM onceward.record(pause.actor, 'flow.pause', 'flow', pause.flow::text, pause.reason, jsonb_build_object('state', before.state));
END $$;
COMMENT ON FUNCTION onceward.pause(uuid, text, text) IS 'Keeps workers from a flow until it is resumed. Raises 02000 if there is no such flow, 55000 if it has ended or is paused.';

CREATE FUNCTION onceward.open_incident(id uuid) RETURNS onceward.incident
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  found onceward.incident;
BEGIN
  SELECT * INTO found FROM onceward.incident i WHERE i.id = open_incident.id FOR UPDATE;
  IF found.id IS NULL THEN
    RAISE EXCEPTION 'incident: there is no incident %', open_incident.id USING ERRCODE = 'no_data_found';
  ELSIF found.closed_at IS NOT NULL THEN
    RAISE EXCEPTION 'incident: % was closed by % already', open_incident.id, found.closed_by USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN found;
END $$;
COMMENT ON FUNCTION onceward.open_incident(uuid) IS 'Locks an incident. Raises 02000 if there is no such one, 55000 if it is closed.';

CREATE FUNCTION onceward.claim(incident uuid, actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.incident := onceward.open_incident(claim.incident);
BEGIN
  IF onceward.person(found.assignee) = onceward.person(claim.actor) THEN
    RETURN;
  ELSIF found.assignee IS NOT NULL THEN
    RAISE EXCEPTION 'incident: % has taken it already', found.assignee USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Unclaim it first.';
  END IF;
  UPDATE onceward.incident i SET assignee = btrim(claim.actor) WHERE i.id = found.id;
  PERFORM onceward.record(claim.actor, 'incident.claim', 'incident', found.id::text, 'takes it', jsonb_build_object('kind', found.kind));
END $$;
COMMENT ON FUNCTION onceward.claim(uuid, text) IS 'Takes an incident. Raises 02000 if there is no such one, 55000 if it is closed or somebody else has it.';

CREATE FUNCTION onceward.unclaim(incident uuid, actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.incident := onceward.open_incident(unclaim.incident);
BEGIN
  IF found.assignee IS NULL THEN
    RETURN;
  END IF;
  UPDATE onceward.incident i SET assignee = NULL WHERE i.id = found.id;
  PERFORM onceward.record(unclaim.actor, 'incident.unclaim', 'incident', found.id::text, 'lets go of it',
    jsonb_build_object('kind', found.kind, 'assignee', found.assignee));
END $$;
COMMENT ON FUNCTION onceward.unclaim(uuid, text) IS 'Gives an incident back, whoever has it. Raises 02000 if there is no such one, 55000 if it is closed.';

CREATE FUNCTION onceward.snooze(incident uuid, until timestamptz, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.incident := onceward.open_incident(snooze.incident);
BEGIN
  IF NOT coalesce(snooze.until > clock_timestamp() AND snooze.until <= clock_timestamp() + interval '30 days', false) THEN
    RAISE EXCEPTION 'until: % is not in the next 30 days', snooze.until USING ERRCODE = 'invalid_parameter_value';
  ELSIF snooze.until >= found.act_before THEN
    RAISE EXCEPTION 'until: it has to be acted on before %', onceward.moment(found.act_before)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give an earlier moment.';
  END IF;
  UPDATE onceward.incident i SET snoozed_until = snooze.until WHERE i.id = found.id;
  PERFORM onceward.record(snooze.actor, 'incident.snooze', 'incident', found.id::text, snooze.reason,
    jsonb_build_object('kind', found.kind, 'until', snooze.until));
END $$;
COMMENT ON FUNCTION onceward.snooze(uuid, timestamptz, text, text) IS
  'Leaves an incident out of the worklist for a while, at most 30 days and not past its act_before. Raises 22023 for another time, 02000 if there is no such one, 55000 if it is closed.';

CREATE FUNCTION onceward.note(subject_kind text, subject text, note text, actor text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF length(btrim(note.note)) > 4000 THEN
    RAISE EXCEPTION 'note: % characters are more than 4000', length(btrim(note.note)) USING ERRCODE = 'invalid_parameter_value';
  ELSIF NOT (CASE note.subject_kind
      WHEN 'call' THEN EXISTS (SELECT FROM onceward.call c WHERE c.id::text = note.subject)
      WHEN 'flow' THEN EXISTS (SELECT FROM onceward.flow f WHERE f.id::text = note.subject)
      WHEN 'incident' THEN EXISTS (SELECT FROM onceward.incident i WHERE i.id::text = note.subject)
      ELSE false END) THEN
    RAISE EXCEPTION '%: there is no %', note.subject_kind, note.subject USING ERRCODE = 'no_data_found', HINT = 'A note is about a call, a flow or an incident.';
  END IF;
  RETURN onceward.record(note.actor, 'note', note.subject_kind, note.subject, btrim(note.note));
END $$;
COMMENT ON FUNCTION onceward.note(text, text, text, text) IS
  'Writes a note about a call, a flow or an incident into the audit and returns its number. Raises 02000 if there is no such one, 22023 if it is longer than 4000 characters.';

CREATE FUNCTION onceward.stop_provider(provider text, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.provider := onceward.declared_provider(stop_provider.provider);
BEGIN
  IF found.stopped_at IS NOT NULL THEN
    RAISE EXCEPTION 'provider: % was stopped by % already', found.name, found.stopped_by USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE onceward.provider p SET stopped_at = clock_timestamp(), stopped_by = btrim(stop_provider.actor), stop_reason = stop_provider.reason WHERE p.name = found.name;
  PERFORM onceward.record(stop_provider.actor, 'provider.stop', 'provider', found.name, stop_provider.reason);
END $$;
COMMENT ON FUNCTION onceward.stop_provider(text, text, text) IS
  'Has nothing more sent to a provider: new calls are recorded and wait. Raises 02000 if there is no such one, 55000 if it is stopped.';

CREATE FUNCTION onceward.start_provider(provider text, actor text, reason text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.provider := onceward.declared_provider(start_provider.provider);
  woken integer;
BEGIN
  IF found.stopped_at IS NULL THEN
    RAISE EXCEPTION 'provider: % is not stopped', found.name USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE onceward.provider p SET stopped_at = NULL, stopped_by = NULL, stop_reason = NULL WHERE p.name = found.name;
  UPDATE onceward.call c SET due_at = clock_timestamp()
   WHERE c.provider = found.name AND c.state IN ('pending', 'in_doubt', 'accepted') AND c.due_at > clock_timestamp();
  GET DIAGNOSTICS woken = ROW_COUNT;
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = btrim(start_provider.actor)
    FROM onceward.call c
   WHERE c.id = i.call_id AND c.provider = found.name AND i.kind = 'provider_stopped' AND i.closed_at IS NULL;
  PERFORM onceward.record(start_provider.actor, 'provider.start', 'provider', found.name, start_provider.reason,
    jsonb_build_object('stopped_by', found.stopped_by, 'stop_reason', found.stop_reason, 'calls', woken));
  RETURN woken;
END $$;
COMMENT ON FUNCTION onceward.start_provider(text, text, text) IS
  'Lets calls go to a provider again, at once those that wait, whose number it returns; closes the incidents about the stop. Raises 02000 if there is no such one, 55000 if it is not stopped.';

CREATE FUNCTION onceward.declared_provider(name text) RETURNS onceward.provider
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  found onceward.provider;
BEGIN
  SELECT * INTO found FROM onceward.provider p WHERE p.name = declared_provider.name FOR UPDATE;
  IF found.name IS NULL THEN
    RAISE EXCEPTION 'provider: no worker has declared %', declared_provider.name USING ERRCODE = 'no_data_found', HINT = '`onceward providers list` shows them.';
  END IF;
  RETURN found;
END $$;
COMMENT ON FUNCTION onceward.declared_provider(text) IS 'Locks a provider. Raises 02000 if there is no such one.';
