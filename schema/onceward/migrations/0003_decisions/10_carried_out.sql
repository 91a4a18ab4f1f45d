-- What becomes of a decision. Workers carry it out, and may write nothing into it but that.

CREATE FUNCTION onceward.decision_goes_on() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  free text[] := '{state,decided_by,decided_at,decision_note,not_before,ended_at,outcome}';
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.ended_at IS NOT NULL THEN
      free := '{}';
    END IF;
    IF NEW.body = '{}' THEN
      free := free || 'body'::text;  -- the purge
    END IF;
    IF to_jsonb(NEW) - free = to_jsonb(OLD) - free
       AND (NEW.state = OLD.state OR OLD.state = 'proposed' AND NEW.state IN ('approved', 'rejected', 'withdrawn', 'stale')
            OR OLD.state = 'approved' AND NEW.state IN ('applied', 'failed', 'stale', 'rejected', 'withdrawn')) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'decision % is %, and goes no other way', OLD.id, OLD.state USING ERRCODE = 'OW001';
END $$;
COMMENT ON FUNCTION onceward.decision_goes_on() IS
  'Refuses, with SQLSTATE OW001 and from whatever program, to change what was decided, to take a step back, or to delete a decision; its contents may be purged.';
CREATE TRIGGER decision_goes_on BEFORE UPDATE OR DELETE ON onceward.resolution FOR EACH ROW EXECUTE FUNCTION onceward.decision_goes_on();

CREATE FUNCTION onceward.decision_obstacle(decision uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT onceward.obstacle(r.verb, coalesce(r.call_id, r.flow_id)) FROM onceward.resolution r WHERE r.id = decision_obstacle.decision
$$;
COMMENT ON FUNCTION onceward.decision_obstacle(uuid) IS 'What is in the way of a decision now; NULL: nothing.';

CREATE FUNCTION onceward.carried_out(decision uuid, state text, outcome text, worker text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  done onceward.resolution;
BEGIN
  IF NOT coalesce(carried_out.state IN ('applied', 'failed', 'stale'), false) THEN
    RAISE EXCEPTION 'state: % is no end of a decision', carried_out.state USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE onceward.resolution r SET state = carried_out.state, outcome = carried_out.outcome, ended_at = clock_timestamp()
   WHERE r.id = carried_out.decision AND r.state = 'approved' AND r.not_before <= clock_timestamp()
  RETURNING * INTO done;
  IF done.id IS NULL THEN
    RETURN false;
  END IF;
  PERFORM onceward.record(done.decided_by, 'decision.' || done.state, onceward.subject_kind(done.verb), coalesce(done.call_id, done.flow_id)::text, done.reason,
    jsonb_build_object('decision', done.id, 'verb', done.verb, 'outcome', done.outcome, 'worker', carried_out.worker, 'amount', done.amount, 'currency', done.currency));
  RETURN true;
END $$;
COMMENT ON FUNCTION onceward.carried_out(uuid, text, text, text) IS
  'Ends an approved decision whose time has come, in the transaction that carried it out, and records that: applied, failed or stale. Returns false if it is not open any more: the transaction has to be rolled back. Raises 22023 for another end.';

REVOKE ALL ON FUNCTION onceward.decision_goes_on(), onceward.decision_obstacle(uuid), onceward.carried_out(uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.decision_obstacle(uuid), onceward.carried_out(uuid, text, text, text) TO onceward_participant;
