-- Incidents that nothing but a person can end.

CREATE FUNCTION onceward.close_incident(incident uuid, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.incident := onceward.open_incident(close_incident.incident);
BEGIN
  IF found.kind NOT IN ('conflict', 'late_signal', 'unmatched') THEN
    RAISE EXCEPTION 'close: not possible for this incident: % is closed by what settles it', found.kind
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Decide about the call, the flow or the message; or snooze it.';
  END IF;
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = btrim(close_incident.actor) WHERE i.id = found.id;
  IF found.kind = 'unmatched' THEN
    UPDATE onceward.evidence e SET handled_at = clock_timestamp() WHERE e.id = found.message_id AND e.handled_at IS NULL;
  END IF;
  PERFORM onceward.record(close_incident.actor, 'incident.close', 'incident', found.id::text, close_incident.reason,
    jsonb_build_object('kind', found.kind, 'call', found.call_id, 'flow', found.flow_id, 'message', found.message_id));
END $$;
COMMENT ON FUNCTION onceward.close_incident(uuid, text, text) IS
  'Closes an incident that only a person can end: conflict, late_signal or unmatched; a report that it is about is looked at no more. Raises 02000 if there is no such one, 55000 if it is closed, or is closed by what settles it.';
REVOKE ALL ON FUNCTION onceward.close_incident(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.close_incident(uuid, text, text) TO onceward_console;
