-- What a person may do with messages that were set aside: let them go, or leave one out.

ALTER TABLE onceward.hold ADD COLUMN heals boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN onceward.hold.heals IS 'The relay releases it by itself once Kafka takes the topic: it was missing or denied.';

ALTER TABLE onceward.held_message DROP CONSTRAINT only_unordered_messages_have_no_hold;
ALTER TABLE onceward.held_message ADD CONSTRAINT only_unordered_or_skipped_messages_have_no_hold CHECK (hold_id IS NOT NULL OR key IS NULL OR state = 'skipped');
COMMENT ON COLUMN onceward.held_message.hold_id IS
  'The hold it waits in. NULL for an unordered message, which holds nobody, and for a skipped one whose hold is gone.';

CREATE FUNCTION onceward.release_hold(hold uuid, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found onceward.hold;
BEGIN
  SELECT * INTO found FROM onceward.hold h WHERE h.hold_id = release_hold.hold FOR UPDATE;
  IF found.hold_id IS NULL THEN
    RAISE EXCEPTION 'hold: there is no hold %', release_hold.hold USING ERRCODE = 'no_data_found', HINT = 'It may have been released already.';
  ELSIF found.state = 'releasing' THEN
    RAISE EXCEPTION 'hold: % is being released already', release_hold.hold USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE onceward.hold h SET state = 'releasing' WHERE h.hold_id = release_hold.hold;
  PERFORM onceward.record(release_hold.actor, 'hold.release', 'hold', found.hold_id::text, release_hold.reason,
    jsonb_build_object('scope', found.scope, 'topic', found.topic, 'held_because', found.reason,
      'messages', (SELECT count(*) FROM onceward.held_message m WHERE m.hold_id = found.hold_id AND m.state <> 'skipped')));
END $$;
COMMENT ON FUNCTION onceward.release_hold(uuid, text, text) IS
  'Lets the relay send what waits in a hold, in order; what Kafka refuses again holds it again. Raises 02000 if there is no such hold, 55000 if it is being released.';

CREATE FUNCTION onceward.skip_message(message uuid, actor text, reason text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  waiting onceward.held_message;
BEGIN
  waiting := onceward.waiting_message(skip_message.message);
  UPDATE onceward.held_message m SET state = 'skipped' WHERE m.id = waiting.id;
  PERFORM onceward.decided(waiting, 'message.skip', skip_message.actor, skip_message.reason);
  RETURN waiting.hold_id;
END $$;
COMMENT ON FUNCTION onceward.skip_message(uuid, text, text) IS
  'Leaves a message out: it will never be sent, its copy stays. Returns the hold that it waited in. Raises 02000 if no such message waits, 55000 if it is being sent just now.';

CREATE FUNCTION onceward.retry_message(message uuid, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  waiting onceward.held_message;
BEGIN
  waiting := onceward.waiting_message(retry_message.message);
  IF waiting.hold_id IS NOT NULL THEN
    RAISE EXCEPTION 'message: % waits in a hold, in its order', retry_message.message
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Release the hold %s.', waiting.hold_id);
  END IF;
  DELETE FROM onceward.held_message m WHERE m.id = waiting.id;
  INSERT INTO onceward.outbox (message_id, topic, key, type, payload, headers, created_at)
  VALUES (waiting.message_id, waiting.topic, waiting.key, waiting.type, waiting.payload, waiting.headers, waiting.created_at);
  PERFORM onceward.decided(waiting, 'message.retry', retry_message.actor, retry_message.reason);
END $$;
COMMENT ON FUNCTION onceward.retry_message(uuid, text, text) IS
  'Puts a message without a key back into the outbox, under its id. Raises 02000 if no such message waits, 55000 if it has a place in the order of a hold.';

CREATE FUNCTION onceward.waiting_message(message uuid) RETURNS onceward.held_message
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  waiting onceward.held_message;
  state text;
BEGIN
  SELECT * INTO waiting FROM onceward.held_message m WHERE m.message_id = waiting_message.message AND m.state <> 'skipped' ORDER BY m.id LIMIT 1;
  IF waiting.id IS NULL THEN
    RAISE EXCEPTION 'message: no message % waits', waiting_message.message USING ERRCODE = 'no_data_found', HINT = 'It may have been sent or skipped already.';
  END IF;
  -- The hold first, as a release does: so that nothing is decided about a message that is being sent.
  SELECT h.state INTO state FROM onceward.hold h WHERE h.hold_id = waiting.hold_id FOR UPDATE;
  IF state = 'releasing' THEN
    RAISE EXCEPTION 'message: % is being released with its hold', waiting_message.message
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Wait until it is sent, or held again.';
  END IF;
  SELECT * INTO waiting FROM onceward.held_message m WHERE m.id = waiting.id AND m.state <> 'skipped' FOR UPDATE;
  IF waiting.id IS NULL THEN
    RAISE EXCEPTION 'message: % does not wait any more', waiting_message.message USING ERRCODE = 'no_data_found';
  END IF;
  RETURN waiting;
END $$;
COMMENT ON FUNCTION onceward.waiting_message(uuid) IS 'Locks a message that was set aside and waits for a decision, with its hold.';

CREATE FUNCTION onceward.decided(waiting onceward.held_message, action text, actor text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = decided.actor
   WHERE i.kind = 'parked_out' AND coalesce(i.call_id, i.flow_id, i.message_id) = waiting.message_id AND i.closed_at IS NULL;
  PERFORM onceward.record(decided.actor, decided.action, 'message', waiting.message_id::text, decided.reason,
    jsonb_build_object('topic', waiting.topic, 'type', waiting.type, 'error', waiting.error, 'payload_sha256', encode(sha256(waiting.payload), 'hex')));
END $$;
COMMENT ON FUNCTION onceward.decided(onceward.held_message, text, text, text) IS
  'Closes the incident of a message about which a person has decided, and records the decision: its payload only as SHA-256.';

REVOKE ALL ON FUNCTION onceward.release_hold(uuid, text, text), onceward.skip_message(uuid, text, text), onceward.retry_message(uuid, text, text),
  onceward.waiting_message(uuid), onceward.decided(onceward.held_message, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.release_hold(uuid, text, text), onceward.skip_message(uuid, text, text), onceward.retry_message(uuid, text, text)
  TO onceward_console;
CREATE INDEX held_message_by_id ON onceward.held_message (message_id);
