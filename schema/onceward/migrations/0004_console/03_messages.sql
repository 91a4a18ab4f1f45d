-- Messages that were set aside, as people see them: what they hold is revealed to who says why, and what cannot be handled can be left out.

REVOKE SELECT ON onceward.held_message, onceward.inbox_parked FROM onceward_console, onceward_auditor;
GRANT SELECT (id, hold_id, state, error, message_id, topic, key, type, created_at, held_at) ON onceward.held_message TO onceward_console, onceward_auditor;
GRANT SELECT (seq, consumer, message_id, topic, partition, "offset", key, key_hash, record_time, record_hash, state, error, attempts, next_try, parked_at)
  ON onceward.inbox_parked TO onceward_console, onceward_auditor;

CREATE VIEW onceward.held_message_shown AS
  SELECT m.id, m.hold_id, m.state, m.error, m.message_id, m.topic, m.key, m.type, octet_length(m.payload) AS bytes, m.created_at, m.held_at FROM onceward.held_message m;
COMMENT ON VIEW onceward.held_message_shown IS 'Messages that Kafka refused, and those behind them, as people see them: without payload and headers.';

CREATE VIEW onceward.inbox_parked_shown AS
  SELECT p.seq, p.consumer, p.message_id, p.topic, p.partition, p."offset", p.key, p.key_hash, octet_length(p.payload) AS bytes, p.record_time, p.state, p.error, p.attempts,
         p.next_try, p.parked_at
    FROM onceward.inbox_parked p;
COMMENT ON VIEW onceward.inbox_parked_shown IS 'Incoming messages that were set aside, and those behind them, as people see them: without payload and headers.';
GRANT SELECT ON onceward.held_message_shown, onceward.inbox_parked_shown TO onceward_console, onceward_auditor;

CREATE FUNCTION onceward.parked_message(message bigint) RETURNS onceward.inbox_parked
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  found onceward.inbox_parked;
BEGIN
  SELECT * INTO found FROM onceward.inbox_parked p WHERE p.seq = parked_message.message;
  -- The key first, as consumers do: so that nothing is decided about a message that is being handled.
  PERFORM FROM onceward.inbox_hold h WHERE (h.consumer, h.topic, h.key_hash) = (found.consumer, found.topic, found.key_hash) FOR UPDATE;
  SELECT * INTO found FROM onceward.inbox_parked p WHERE p.seq = parked_message.message FOR UPDATE;
  IF found.seq IS NULL THEN
    RAISE EXCEPTION 'message: no message % is parked', parked_message.message USING ERRCODE = 'no_data_found', HINT = 'It may have been handled or left out already.';
  ELSIF found.state <> 'parked' THEN
    RAISE EXCEPTION 'message: % did not fail, it waits behind another one of its key', parked_message.message
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Decide about the first one.';
  END IF;
  RETURN found;
END $$;
COMMENT ON FUNCTION onceward.parked_message(bigint) IS 'Locks an incoming message that failed, with its key. Raises P0002 if there is no such one, 55000 if it only waits behind another one.';

CREATE FUNCTION onceward.record_parked(parked onceward.inbox_parked, action text, actor text, reason text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT onceward.record(record_parked.actor, record_parked.action, 'message',
    coalesce(parked.message_id::text, format('%s[%s]@%s', parked.topic, parked.partition, parked."offset")), record_parked.reason,
    jsonb_build_object('consumer', parked.consumer, 'topic', parked.topic, 'partition', parked.partition, 'offset', parked."offset", 'attempts', parked.attempts,
      'payload_sha256', encode(sha256(parked.payload), 'hex')))
$$;
COMMENT ON FUNCTION onceward.record_parked(onceward.inbox_parked, text, text, text) IS 'Records what a person did with an incoming message that failed: its payload only as SHA-256.';

CREATE FUNCTION onceward.retry_parked(message bigint, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
  parked onceward.inbox_parked := onceward.parked_message(retry_parked.message);
  older bigint;
BEGIN
  IF parked.message_id IS NULL THEN
    RAISE EXCEPTION 'retry: not possible for this message: it cannot be read' USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'It can only be left out.';
  ELSIF parked.attempts = 0 THEN
    RAISE EXCEPTION 'retry: not possible for this message: another one with its id was taken before, so it would be a second effect under one id'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'It can only be left out.';
  END IF;
  SELECT p.seq INTO older FROM onceward.inbox_parked p
   WHERE (p.consumer, p.topic, p.key_hash) = (parked.consumer, parked.topic, parked.key_hash) AND p.seq < parked.seq ORDER BY p.seq LIMIT 1;
  IF older IS NOT NULL THEN
    RAISE EXCEPTION 'retry: not possible for this message: message % of its key comes first', older USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE onceward.inbox_parked p SET next_try = clock_timestamp() WHERE p.seq = parked.seq;
  PERFORM onceward.record_parked(parked, 'message.retry', retry_parked.actor, retry_parked.reason);
END $$;
COMMENT ON FUNCTION onceward.retry_parked(bigint, text, text) IS
  'Has the consumer handle an incoming message again that failed, now and not when its time comes. Raises P0002 if no such one is parked, 55000 if it cannot be read, if its id was taken before, or if another one of its key comes first, 55P03 if it is being handled just now.';

CREATE FUNCTION onceward.discard_parked(message bigint, actor text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
  parked onceward.inbox_parked := onceward.parked_message(discard_parked.message);
  next_of_key onceward.inbox_parked;
BEGIN
  DELETE FROM onceward.inbox_parked p WHERE p.seq = parked.seq;
  IF parked.attempts > 0 THEN  -- else the inbox knows another message by this id, or none
    UPDATE onceward.inbox i SET state = 'skipped' WHERE (i.consumer, i.message_id) = (parked.consumer, parked.message_id) AND i.state = 'parked';
  END IF;
  SELECT * INTO next_of_key FROM onceward.inbox_parked p
   WHERE (p.consumer, p.topic, p.key_hash) = (parked.consumer, parked.topic, parked.key_hash) ORDER BY p.seq LIMIT 1;
  IF next_of_key.seq IS NULL THEN
    DELETE FROM onceward.inbox_hold h WHERE (h.consumer, h.topic, h.key_hash) = (parked.consumer, parked.topic, parked.key_hash);
  ELSIF next_of_key.state = 'held' THEN
    UPDATE onceward.inbox_parked p SET next_try = clock_timestamp() WHERE p.seq = next_of_key.seq;
  END IF;
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = btrim(discard_parked.actor)
   WHERE i.kind = 'parked_in' AND i.closed_at IS NULL AND CASE WHEN parked.message_id IS NOT NULL
     THEN coalesce(i.call_id, i.flow_id, i.message_id) = parked.message_id
          AND NOT EXISTS (SELECT FROM onceward.inbox_parked p WHERE p.message_id = parked.message_id AND p.state = 'parked')
     -- One that cannot be read has no id: its incident names its place.
     ELSE starts_with(i.grp, parked.topic || '/')
          AND starts_with(i.title, format('The message at %s[%s]@%s was set aside', parked.topic, parked.partition, parked."offset"))
          AND NOT EXISTS (SELECT FROM onceward.inbox_parked p WHERE (p.topic, p.partition, p."offset") = (parked.topic, parked.partition, parked."offset") AND p.message_id IS NULL)
     END;
  PERFORM onceward.record_parked(parked, 'message.discard', discard_parked.actor, discard_parked.reason);
  RETURN next_of_key.seq;
END $$;
COMMENT ON FUNCTION onceward.discard_parked(bigint, text, text) IS
  'Leaves out an incoming message that failed: it is not handled, its copy is deleted, and what waited behind it goes on; returns the next of its key. Raises P0002 if no such one is parked, 55000 if it only waits behind another one, 55P03 if it is being handled just now.';

CREATE FUNCTION onceward.reveal_message(kind text, message bigint, actor text, reason text) RETURNS TABLE (what text, content bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  parked onceward.inbox_parked;
  held onceward.held_message;
BEGIN
  IF reveal_message.kind = 'parked' THEN
    SELECT * INTO parked FROM onceward.inbox_parked p WHERE p.seq = reveal_message.message;
  ELSIF reveal_message.kind = 'held' THEN
    SELECT * INTO held FROM onceward.held_message m WHERE m.id = reveal_message.message;
  ELSE
    RAISE EXCEPTION 'kind: % is neither parked nor held', reveal_message.kind USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF parked.seq IS NULL AND held.id IS NULL THEN
    RAISE EXCEPTION 'message: no message % is set aside', reveal_message.message USING ERRCODE = 'no_data_found', HINT = 'It may have been settled meanwhile.';
  END IF;
  PERFORM onceward.record(reveal_message.actor, 'message.reveal', 'message',
    coalesce(parked.message_id::text, held.message_id::text, format('%s[%s]@%s', parked.topic, parked.partition, parked."offset")), reveal_message.reason,
    jsonb_build_object('kind', reveal_message.kind, 'number', reveal_message.message, 'topic', coalesce(parked.topic, held.topic)));
  RETURN QUERY
    SELECT part.name, part.bytes
      FROM (VALUES ('payload', coalesce(parked.payload, held.payload)), ('headers', convert_to(coalesce(parked.headers, held.headers)::text, 'UTF8'))) AS part (name, bytes)
     WHERE part.bytes IS NOT NULL;
END $$;
COMMENT ON FUNCTION onceward.reveal_message(text, bigint, text, text) IS
  'Returns payload and headers of a message that was set aside (kind parked, by its seq, or held, by its id), and records who asked for them and why. Raises P0002 if there is no such one.';

REVOKE ALL ON FUNCTION onceward.parked_message(bigint), onceward.record_parked(onceward.inbox_parked, text, text, text), onceward.retry_parked(bigint, text, text),
  onceward.discard_parked(bigint, text, text), onceward.reveal_message(text, bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.retry_parked(bigint, text, text), onceward.discard_parked(bigint, text, text), onceward.reveal_message(text, bigint, text, text)
  TO onceward_console;
