-- Sending settled messages again, by a person's decision: as copies in the outbox, so that the relay has one way to send, and holds and order stand.

CREATE FUNCTION onceward.replayable_since() RETURNS timestamptz LANGUAGE sql STABLE SET search_path = pg_catalog
AS $$ SELECT coalesce(max(rows_before), '-infinity') FROM onceward.slot_emptied $$;
COMMENT ON FUNCTION onceward.replayable_since() IS 'All messages of transactions that began since then are still in the outbox.';

CREATE FUNCTION onceward.replayable(p_since timestamptz, p_until timestamptz, p_topic text, p_key bytea)
RETURNS TABLE (id bigint, topic text, state text, bytes bigint, created_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  WITH newest AS (SELECT c.s1, c.s2, c.last_id FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1)
  SELECT min(o.id), o.topic,  -- its first row: later ones are copies of earlier replays
         CASE WHEN bool_or(EXISTS (SELECT FROM onceward.held_message m WHERE (m.id, m.message_id) = (o.id, o.message_id))) THEN 'set aside'
              WHEN bool_and(coalesce(pg_visible_in_snapshot(o.xid, n.s1), false)
                            OR coalesce(pg_visible_in_snapshot(o.xid, n.s2) AND o.id <= n.last_id, false)) THEN 'sent'
              ELSE 'waits' END,
         max(coalesce(octet_length(o.payload), 0) + coalesce(octet_length(o.key), 0))::bigint, min(o.created_at)
    FROM onceward.outbox o LEFT JOIN newest n ON true
   WHERE o.created_at >= p_since AND o.created_at < p_until
     AND (p_topic IS NULL OR o.topic = p_topic) AND (p_key IS NULL OR o.key = p_key)
   GROUP BY o.message_id, o.topic
$$;
COMMENT ON FUNCTION onceward.replayable(timestamptz, timestamptz, text, bytea) IS
  'Each message that was written in a time, once: sent; waits, to be sent for the first time or again; set aside, in a hold or skipped.';

CREATE FUNCTION onceward.replay_preview(p_since timestamptz, p_until timestamptz, p_topic text DEFAULT NULL, p_key bytea DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the server is a standby: replay on the primary' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN (
    WITH topics AS (
      SELECT r.topic, count(*) FILTER (WHERE state = 'sent') AS messages, coalesce(sum(bytes) FILTER (WHERE state = 'sent'), 0) AS bytes,
             count(*) FILTER (WHERE state = 'waits') AS waiting, count(*) FILTER (WHERE state = 'set aside') AS set_aside,
             min(created_at) FILTER (WHERE state = 'sent') AS oldest, max(created_at) FILTER (WHERE state = 'sent') AS newest
        FROM onceward.replayable(p_since, p_until, p_topic, p_key) r GROUP BY r.topic
    )
    SELECT jsonb_build_object(
      'halted', onceward.foreign_history(), 'since', p_since, 'until', p_until, 'replayable_since', onceward.replayable_since(),
      'complete', p_since >= onceward.replayable_since(), 'keep_for', onceward.keep_for(),
      'messages', coalesce(sum(messages), 0), 'bytes', coalesce(sum(bytes), 0),
      'topics', coalesce(jsonb_agg(to_jsonb(topics) ORDER BY topic), '[]'))
      FROM topics
  );
END $$;
COMMENT ON FUNCTION onceward.replay_preview(timestamptz, timestamptz, text, bytea) IS 'What onceward.replay() would send again, per topic, and from when on it can. Changes nothing.';

CREATE FUNCTION onceward.replay(p_since timestamptz, p_until timestamptz, p_actor text, p_reason text, p_topic text DEFAULT NULL, p_key bytea DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  halted text := onceward.foreign_history();
  copies bigint;
  decision jsonb;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'only in READ COMMITTED: an older snapshot would overlook that a slot was emptied' USING ERRCODE = 'invalid_transaction_state';
  ELSIF halted IS NOT NULL THEN
    RAISE EXCEPTION 'the source is halted (%): reconcile it first', halted USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('onceward.replay', 0));  -- two at once would not see each other's copies
  LOCK TABLE onceward.outbox IN ROW EXCLUSIVE MODE;  -- no slot is emptied from here on
  IF p_since IS NULL OR p_since < onceward.replayable_since() THEN
    RAISE EXCEPTION 'since: what was written before % may be gone', onceward.replayable_since()
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give that time, or a later one.';
  END IF;
  INSERT INTO onceward.outbox (message_id, topic, key, type, payload, headers, created_at)
  SELECT o.message_id, o.topic, o.key, o.type, o.payload, o.headers, o.created_at
    FROM onceward.replayable(p_since, p_until, p_topic, p_key) r JOIN onceward.outbox o ON o.id = r.id AND o.topic = r.topic
   WHERE r.state = 'sent'
   ORDER BY o.id;
  GET DIAGNOSTICS copies = ROW_COUNT;
  decision := jsonb_build_object('since', p_since, 'until', p_until, 'topic', p_topic, 'key_sha256', encode(sha256(p_key), 'hex'), 'sent_again', copies);
  RETURN decision || jsonb_build_object('audit', onceward.record(p_actor, 'outbox.replay', 'outbox', current_database(), p_reason, decision));
END $$;
COMMENT ON FUNCTION onceward.replay(timestamptz, timestamptz, text, text, text, bytea) IS
  'Sends messages that were sent before again, under their ids and in their order, behind what waits. Not those that wait or are set aside. Raises 22023 if some are gone. Audited.';

REVOKE ALL ON FUNCTION onceward.replayable_since(), onceward.replayable(timestamptz, timestamptz, text, bytea),
  onceward.replay_preview(timestamptz, timestamptz, text, bytea), onceward.replay(timestamptz, timestamptz, text, text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.replay_preview(timestamptz, timestamptz, text, bytea), onceward.replay(timestamptz, timestamptz, text, text, text, bytea)
  TO onceward_console;
