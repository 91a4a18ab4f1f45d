-- The purge of personal data knows why a flow was undone, and messages whose flow never came.

CREATE OR REPLACE FUNCTION onceward.purge_personal_data(before timestamptz, actor text, reason text, most integer DEFAULT 10000) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  flows uuid[];
  calls uuid[];
  done jsonb := '{}';
  number bigint;
BEGIN
  IF NOT coalesce(purge_personal_data.before <= clock_timestamp(), false) THEN
    RAISE EXCEPTION 'before: % is not in the past', purge_personal_data.before USING ERRCODE = 'invalid_parameter_value';
  ELSIF NOT coalesce(purge_personal_data.most BETWEEN 1 AND 100000, false) THEN
    RAISE EXCEPTION 'most: % is not between 1 and 100000', purge_personal_data.most USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- A flow is purged whole: until it has ended, and nothing about it is open, its code and its undo need what its calls returned.
  flows := ARRAY(
    SELECT f.id FROM onceward.flow f
     WHERE f.ended_at < purge_personal_data.before AND f.purged_at IS NULL
       AND NOT EXISTS (SELECT FROM onceward.open_matter m WHERE m.flow_id = f.id)
       AND NOT EXISTS (SELECT FROM onceward.call c WHERE c.flow_id = f.id AND (c.settled_at IS NULL OR c.settled_at >= purge_personal_data.before))
     ORDER BY f.ended_at LIMIT purge_personal_data.most FOR UPDATE OF f SKIP LOCKED);
  calls := ARRAY(SELECT c.id FROM onceward.call c WHERE c.flow_id = ANY(flows) AND c.purged_at IS NULL) || ARRAY(
    SELECT c.id FROM onceward.call c
     WHERE c.flow_id IS NULL AND c.settled_at < purge_personal_data.before AND c.purged_at IS NULL
       AND NOT EXISTS (SELECT FROM onceward.open_matter m WHERE m.call_id = c.id)
     ORDER BY c.settled_at LIMIT purge_personal_data.most FOR UPDATE OF c SKIP LOCKED);

  UPDATE onceward.flow f SET purged_at = clock_timestamp(), input = '', error = NULL, undo_reason = CASE WHEN undoing THEN '' END,
         version = version + 1 WHERE f.id = ANY(flows);
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('flows', number);
  UPDATE onceward.flow_step s SET result = 'null' WHERE s.flow_id = ANY(flows) AND s.result <> 'null';
  UPDATE onceward.signal s SET body = '' FROM onceward.flow f WHERE f.id = ANY(flows) AND (s.flow_name, s.flow_key) = (f.name, f.key) AND s.body <> '';
  -- Messages that no flow has taken: it was never started, or was purged before they came. None that may be started later gets one without its contents.
  UPDATE onceward.signal s SET body = '', taken_by = 'purge', taken_at = clock_timestamp()
   WHERE (s.flow_name, s.flow_key, s.type, s.message_id) IN (
     SELECT u.flow_name, u.flow_key, u.type, u.message_id FROM onceward.signal u LEFT JOIN onceward.flow f ON (f.name, f.key) = (u.flow_name, u.flow_key)
      WHERE u.taken_by IS NULL AND u.arrived_at < purge_personal_data.before AND (f.id IS NULL OR f.purged_at IS NOT NULL AND u.body <> '')
        AND NOT EXISTS (SELECT FROM onceward.incident i WHERE i.closed_at IS NULL AND coalesce(i.call_id, i.flow_id, i.message_id) IN (u.message_id, f.id))
      LIMIT purge_personal_data.most)
     AND s.taken_by IS NULL;
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('messages', number);
  UPDATE onceward.call c SET purged_at = clock_timestamp(), request = NULL, result = NULL, undo_request = NULL, error_text = NULL, difference = NULL, version = version + 1
   WHERE c.id = ANY(calls);
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('calls', number);
  UPDATE onceward.attempt a SET answer = NULL, detail = NULL, answer_sha256 = coalesce(a.answer_sha256, sha256(a.answer)) WHERE a.call_id = ANY(calls);
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('attempts', number);
  UPDATE onceward.evidence e SET purged_at = clock_timestamp(), body = NULL
   WHERE e.purged_at IS NULL AND e.body IS NOT NULL AND (e.call_id = ANY(calls) OR e.call_id IS NULL AND e.handled_at < purge_personal_data.before);
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('evidence', number);
  UPDATE onceward.resolution r SET body = '{}' WHERE r.call_id = ANY(calls) AND r.body <> '{}';
  GET DIAGNOSTICS number = ROW_COUNT;
  done := done || jsonb_build_object('decisions', number);
  PERFORM onceward.record(purge_personal_data.actor, 'data.purge', 'database', current_database(), purge_personal_data.reason,
    done || jsonb_build_object('before', purge_personal_data.before));
  RETURN done;
END $$;
COMMENT ON FUNCTION onceward.purge_personal_data(timestamptz, text, text, integer) IS
  'Removes the contents of flows that had ended and calls that were settled before a moment, at most so many of each at a time, and returns how many: flows, messages that no flow has taken, calls, attempts, evidence, decisions. Fingerprints and hashes stay, and everything that something open is about. Raises 22023 with the field that is wrong.';
