-- After a restore: the source's snapshots belong to another history, and nobody can tell what was sent. A person lets everything that is
-- present be sent again; the inboxes absorb what they know.

CREATE FUNCTION onceward.foreign_history() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
  SELECT CASE
    WHEN newest.copied THEN 'copied'
    WHEN newest.ahead THEN 'ahead'
    WHEN (SELECT xid FROM onceward.outbox ORDER BY xid DESC LIMIT 1) >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'outbox_ahead'
  END
  FROM (SELECT 1) always
  LEFT JOIN (SELECT c.xmin <> c.xid::xid AS copied,
                    greatest(pg_snapshot_xmax(c.s1), pg_snapshot_xmax(c.s2)) > pg_snapshot_xmax(pg_current_snapshot()) AS ahead
               FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1) newest ON true
$$;
COMMENT ON FUNCTION onceward.foreign_history() IS
  'Why a relay halts on this source: copied (the checkpoint came here by a dump), ahead (it is ahead of the server''s transactions), outbox_ahead (the outbox is); NULL if it does not.';

CREATE FUNCTION onceward.reconcile_preview() RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the server is a standby: reconcile the primary' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN (
    WITH row AS (
      SELECT o.topic, o.created_at, EXISTS (SELECT FROM onceward.held_message m WHERE (m.id, m.message_id) = (o.id, o.message_id)) AS set_aside
        FROM onceward.outbox o
    ), present AS (
      SELECT topic, count(*) FILTER (WHERE NOT set_aside) AS messages, count(*) FILTER (WHERE set_aside) AS set_aside,
             min(created_at) FILTER (WHERE NOT set_aside) AS oldest, max(created_at) FILTER (WHERE NOT set_aside) AS newest
        FROM row GROUP BY topic
    ), held AS (
      SELECT topic, count(*) FILTER (WHERE scope = 'key') AS keys, bool_or(scope = 'topic') AS whole FROM onceward.hold GROUP BY topic
    )
    SELECT jsonb_build_object(
      'halted', onceward.foreign_history(),
      'owned', EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                        WHERE l.locktype = 'advisory' AND l.classid = 1869505381 AND l.objid = 1 AND l.granted AND d.datname = current_database()),
      'relay', (SELECT relay FROM onceward.ownership ORDER BY epoch DESC LIMIT 1),
      'checkpoint', (SELECT to_jsonb(c) FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1),
      'timeline', left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
      'system_id', (SELECT system_identifier FROM pg_control_system()),
      'messages', (SELECT coalesce(sum(messages), 0) FROM present),
      'set_aside', (SELECT coalesce(sum(set_aside), 0) FROM present),
      'topics', (SELECT coalesce(jsonb_agg(jsonb_build_object('topic', topic, 'messages', coalesce(messages, 0), 'oldest', oldest, 'newest', newest,
                   'held_keys', coalesce(keys, 0), 'topic_held', coalesce(whole, false), 'set_aside', coalesce(set_aside, 0)) ORDER BY topic), '[]')
                   FROM present FULL JOIN held USING (topic))
    )
  );
END $$;
COMMENT ON FUNCTION onceward.reconcile_preview() IS
  'What onceward.reconcile() would do, and why: the source''s trouble, its newest checkpoint, and the messages per topic that would be sent again. Changes nothing.';

CREATE FUNCTION onceward.reconcile(p_actor text, p_reason text, p_anyway boolean DEFAULT false, p_skip text[] DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  before jsonb;
  unknown text;
  skipped bigint;
  sent_again bigint;
  next_epoch bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'only in READ COMMITTED: an older snapshot would overlook messages' USING ERRCODE = 'invalid_transaction_state';
  ELSIF NOT pg_try_advisory_xact_lock(1869505381, 1) THEN
    RAISE EXCEPTION 'a relay owns this source, so it is not halted: stop the relay first' USING ERRCODE = 'object_in_use';
  END IF;
  LOCK TABLE onceward.outbox IN SHARE ROW EXCLUSIVE MODE;  -- granted once no writer is left, so every message is visible from here on
  before := onceward.reconcile_preview() - 'owned';
  IF before ->> 'halted' IS NULL AND NOT p_anyway THEN
    RAISE EXCEPTION 'the source is not halted: its checkpoint belongs to this database, and a relay goes on from it by itself'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  SELECT topic INTO unknown FROM unnest(p_skip) topic WHERE NOT EXISTS (SELECT FROM onceward.outbox o WHERE o.topic = topic.topic) LIMIT 1;
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'topic %: the outbox has no message to it that could be skipped', unknown USING ERRCODE = 'no_data_found';
  END IF;

  PERFORM setval('onceward.outbox_id_seq', greatest(
    (SELECT max(id) FROM onceward.outbox), (SELECT max(id) FROM onceward.held_message), (SELECT last_value FROM onceward.outbox_id_seq)) + 1000);

  WITH removed AS (DELETE FROM onceward.outbox o WHERE o.topic = ANY (p_skip) RETURNING *)
  INSERT INTO onceward.held_message (id, state, error, message_id, topic, key, type, payload, headers, created_at)
  SELECT nextval('onceward.outbox_id_seq'), 'skipped', 'skipped by ' || p_actor || ' when the source was reconciled: ' || p_reason,
         r.message_id, r.topic, r.key, r.type, r.payload, r.headers, r.created_at
    FROM removed r
   WHERE NOT EXISTS (SELECT FROM onceward.held_message m WHERE (m.id, m.message_id) = (r.id, r.message_id))
   ORDER BY r.id;
  GET DIAGNOSTICS skipped = ROW_COUNT;

  WITH removed AS (DELETE FROM onceward.outbox RETURNING *)
  INSERT INTO onceward.outbox (message_id, topic, key, type, payload, headers, created_at)
  SELECT r.message_id, r.topic, r.key, r.type, r.payload, r.headers, r.created_at
    FROM removed r
   WHERE NOT EXISTS (SELECT FROM onceward.held_message m WHERE (m.id, m.message_id) = (r.id, r.message_id))  -- waits there, or a person skipped it
   ORDER BY r.id;
  GET DIAGNOSTICS sent_again = ROW_COUNT;

  next_epoch := greatest((SELECT max(o.epoch) FROM onceward.ownership o), (SELECT max(c.epoch) FROM onceward.checkpoint c), 0) + 1;
  INSERT INTO onceward.ownership (epoch, relay) VALUES (next_epoch, 'reconciled by ' || p_actor);
  -- Nothing is settled: 1:1: shows no transaction. A snapshot of now could show this very one.
  INSERT INTO onceward.checkpoint (epoch, seq, s1, timeline, system_id)
  VALUES (next_epoch, 0, '1:1:', before ->> 'timeline', (before ->> 'system_id')::bigint);
  IF EXISTS (SELECT FROM onceward.checkpoint c WHERE c.epoch = next_epoch AND c.xmin <> c.xid::xid) THEN
    RAISE EXCEPTION 'not inside a savepoint: the checkpoint would look copied' USING ERRCODE = 'invalid_transaction_state';
  END IF;

  before := before || jsonb_build_object('sent_again', sent_again, 'skipped', skipped, 'skipped_topics', to_jsonb(p_skip), 'epoch', next_epoch);
  RETURN before || jsonb_build_object('audit', onceward.record(
    p_actor, 'relay.reconcile', 'outbox', current_database(), p_reason, before));
END $$;
COMMENT ON FUNCTION onceward.reconcile(text, text, boolean, text[]) IS
  'Lets every message that is present be sent again, with its id, in order, and takes the source out of its halt. Refuses while a relay owns the source. Audited. '
  'p_anyway: also where the source is not halted. p_skip: topics whose messages are not sent again; they are kept in held_message as skipped.';

REVOKE ALL ON FUNCTION onceward.foreign_history(), onceward.reconcile_preview(), onceward.reconcile(text, text, boolean, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION onceward.reconcile_preview(), onceward.reconcile(text, text, boolean, text[]) TO onceward_console;
