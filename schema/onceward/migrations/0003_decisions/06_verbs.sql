-- What people may do with a call or a flow, and why not the rest. One answer for the command line, for screens, and for the functions that decide.

CREATE FUNCTION onceward.moment(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
COMMENT ON FUNCTION onceward.moment(timestamptz) IS 'A time in words, in UTC to the second.';

CREATE FUNCTION onceward.went_on_since(flow uuid, seq integer, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT FROM onceward.call c WHERE c.flow_id = went_on_since.flow AND c.undoes IS NULL
                    AND coalesce(c.seq > went_on_since.seq, c.created_at > went_on_since.at))
      OR EXISTS (SELECT FROM onceward.flow_step s WHERE s.flow_id = went_on_since.flow AND coalesce(s.seq > went_on_since.seq, s.at > went_on_since.at))
$$;
COMMENT ON FUNCTION onceward.went_on_since(uuid, integer, timestamptz) IS 'Whether a flow has a step after the one of that number, or, if it has none, of that time.';

CREATE FUNCTION onceward.call_verbs(call uuid) RETURNS TABLE (verb text, does text, obstacle text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  WITH it AS (
    SELECT c.*, clock_timestamp() AS now, o.repeat, o.lookup, o.undo, o.timeout,
           c.send_by + o.timeout + o.settle_delay AS late_at_most_until,
           c.first_sent_at + o.key_lifetime - o.timeout - interval '60 s' AS key_until,
           p.stop_reason, f.id IS NOT NULL AND f.ended_at IS NOT NULL AS flow_has_ended, coalesce(f.undoing AND f.ended_at IS NULL, false) AS flow_is_undone,
           CASE WHEN c.state IN ('succeeded', 'failed', 'cancelled') THEN 'it is settled as ' || c.state
                WHEN c.state = 'in_flight' THEN 'an attempt is under way'
                WHEN p.stopped_at IS NOT NULL THEN 'the provider is stopped: ' || p.stop_reason END AS cannot_ask,
           CASE WHEN c.state IN ('succeeded', 'failed', 'cancelled') THEN 'it is settled as ' || c.state
                WHEN c.state = 'in_flight' THEN 'an attempt is under way'
                WHEN c.state = 'pending' THEN 'it has had no effect, and will be sent' END AS cannot_settle,
           (SELECT coalesce(sum(u.amount), 0) FROM onceward.call u WHERE u.undoes = c.id AND u.state NOT IN ('failed', 'cancelled')) AS undone,
           EXISTS (SELECT FROM onceward.call u WHERE u.undoes = c.id AND u.state NOT IN ('failed', 'cancelled')) AS has_undo
      FROM onceward.call c
      JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation)
      JOIN onceward.provider p ON p.name = c.provider
      LEFT JOIN onceward.flow f ON f.id = c.flow_id
     WHERE c.id = call_verbs.call
  )
  SELECT 'lookup', 'the worker asks the provider what became of it',
         coalesce(it.cannot_ask, CASE
           WHEN it.state = 'pending' THEN 'it has had no effect, and will be sent'
           WHEN it.lookup = 'none' THEN 'the provider offers no lookup'
           WHEN it.asked = 'lookup' THEN 'that was asked for already' END)
    FROM it
  UNION ALL
  SELECT 'resend', CASE it.state WHEN 'pending' THEN 'the worker sends it now' ELSE 'the worker sends it once more, if the provider''s scope is still the same' END,
         coalesce(it.cannot_ask, CASE
           WHEN it.state = 'accepted' THEN 'the provider has accepted it, and reports the outcome later'
           WHEN it.state = 'pending' THEN NULL
           WHEN it.asked = 'resend' THEN 'that was asked for already'
           WHEN it.repeat = 'never' THEN 'the provider takes no idempotency key, so it could take effect twice'
           WHEN it.repeat = 'same_key' AND it.now >= it.key_until THEN format('the provider may have forgotten the key since %s', onceward.moment(it.key_until)) END)
    FROM it
  UNION ALL
  SELECT 'applied', 'settles it as succeeded, with the result that you give; needs evidence', it.cannot_settle FROM it
  UNION ALL
  SELECT 'not_applied', 'settles it as failed',
         coalesce(it.cannot_settle, CASE
           WHEN it.now <= it.late_at_most_until THEN format('it may still be on its way until %s', onceward.moment(it.late_at_most_until)) END)
    FROM it
  UNION ALL
  SELECT 'new_key', 'makes it again, under another key',
         CASE
           WHEN it.settled_at IS NULL THEN 'it may still take effect: only what has failed is made again'
           WHEN it.state <> 'failed' THEN 'it is settled as ' || it.state
           WHEN it.flow_id IS NULL THEN 'it belongs to no flow: the program that made it may make another, under a key of its own'
           WHEN it.flow_has_ended THEN 'its flow has ended'
           WHEN it.undoes IS NOT NULL AND NOT it.flow_is_undone THEN 'it was a refund: propose another one of the call that it was to reverse'
           WHEN it.undoes IS NULL AND it.flow_is_undone THEN 'its flow is being undone'
           WHEN it.purged_at IS NOT NULL THEN 'its request was purged'
           WHEN EXISTS (SELECT FROM onceward.call n WHERE (n.flow_id, n.step) = (it.flow_id, it.step) AND n.take > it.take) THEN 'it was made again already'
           WHEN it.undoes IS NULL AND onceward.went_on_since(it.flow_id, it.seq, it.created_at) THEN 'its flow has gone on since' END
    FROM it
  UNION ALL
  SELECT 'refund', CASE WHEN it.amount IS NULL THEN 'reverses it'
                        ELSE format('reverses up to %s %s of it', trim_scale(it.amount - it.undone), it.currency) END,
         CASE
           WHEN it.state <> 'succeeded' THEN CASE WHEN it.settled_at IS NULL THEN 'it is not known to have succeeded' ELSE 'it is settled as ' || it.state END
           WHEN it.undoes IS NOT NULL THEN 'it reverses another call itself'
           WHEN it.undo IS NULL THEN 'its operation declares nothing that reverses it'
           WHEN it.purged_at IS NOT NULL THEN 'its contents were purged'
           WHEN it.flow_is_undone THEN 'its flow is being undone'
           WHEN CASE WHEN it.amount IS NULL THEN it.has_undo ELSE it.undone >= it.amount END THEN 'all of it is undone already, or just being undone' END
    FROM it
  UNION ALL
  SELECT 'accept_difference', 'takes what the provider did, and lets the flow go on',
         CASE
           WHEN it.state <> 'succeeded' THEN CASE WHEN it.settled_at IS NULL THEN 'it is not known to have succeeded' ELSE 'it is settled as ' || it.state END
           WHEN it.difference IS NULL THEN 'the provider did what it was asked'
           WHEN it.difference_accepted_at IS NOT NULL THEN 'that was accepted already' END
    FROM it
$$;
COMMENT ON FUNCTION onceward.call_verbs(uuid) IS 'What each verb would do to a call, and what is in its way; NULL: nothing. An open decision about it is not looked at.';

CREATE FUNCTION onceward.flow_verbs(flow uuid) RETURNS TABLE (verb text, does text, obstacle text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  WITH it AS (
    SELECT f.*, CASE WHEN f.ended_at IS NOT NULL THEN 'it has ended as ' || f.state END AS has_ended,
           (SELECT min(c.step) FROM onceward.call c
             WHERE c.flow_id = f.id AND c.pivot AND c.state IN ('in_flight', 'in_doubt', 'accepted', 'succeeded')) AS pivot_under_way
      FROM onceward.flow f WHERE f.id = flow_verbs.flow
  )
  SELECT 'resume', CASE WHEN it.state = 'blocked' THEN 'a worker runs it again' ELSE 'workers take it up again' END,
         coalesce(it.has_ended, CASE WHEN it.state <> 'blocked' AND it.paused_at IS NULL THEN format('it is %s, neither blocked nor paused', it.state) END)
    FROM it
  UNION ALL
  SELECT 'pause', 'no worker takes it up; a run that is under way ends first',
         coalesce(it.has_ended, CASE WHEN it.paused_at IS NOT NULL THEN 'it is paused already' END)
    FROM it
  UNION ALL
  SELECT 'undo', 'reverses all that it did, the last first',
         CASE
           WHEN it.state IN ('undone', 'closed') THEN it.has_ended
           WHEN it.undoing THEN 'it is being undone already'
           WHEN it.pivot_step IS NOT NULL THEN format('it only goes forward since its step %s', it.pivot_step)
           WHEN it.pivot_under_way IS NOT NULL THEN format('its step %s, after which it only goes forward, has or may have taken effect', it.pivot_under_way)
           WHEN it.purged_at IS NOT NULL THEN 'its contents were purged' END
    FROM it
  UNION ALL
  SELECT 'close', 'gives it up as it stands: nothing more is done or undone', it.has_ended FROM it
$$;
COMMENT ON FUNCTION onceward.flow_verbs(uuid) IS 'What each verb would do to a flow, and what is in its way; NULL: nothing. An open decision about it is not looked at.';

CREATE FUNCTION onceward.subject_kind(verb text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN verb IN ('applied', 'not_applied', 'new_key', 'refund', 'accept_difference') THEN 'call' WHEN verb IN ('undo', 'close') THEN 'flow' END;
COMMENT ON FUNCTION onceward.subject_kind(text) IS 'What a decision of this verb is about: call or flow; NULL if the verb is no decision.';

CREATE FUNCTION onceward.open_decision(subject uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT format('the decision "%s" of %s %s', r.verb, r.proposed_by, CASE r.state WHEN 'proposed' THEN 'waits for another person' ELSE 'waits for a worker' END)
    FROM onceward.resolution r WHERE coalesce(r.call_id, r.flow_id) = open_decision.subject AND r.state IN ('proposed', 'approved')
$$;
COMMENT ON FUNCTION onceward.open_decision(uuid) IS 'The open decision about a call or flow, in words; NULL if there is none.';

CREATE FUNCTION onceward.verbs_of_call(call uuid) RETURNS TABLE (verb text, allowed boolean, why text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT v.verb, found.obstacle IS NULL, coalesce(found.obstacle, v.does)
    FROM onceward.call_verbs(verbs_of_call.call) v,
         LATERAL (SELECT coalesce(v.obstacle, CASE WHEN onceward.subject_kind(v.verb) IS NOT NULL THEN onceward.open_decision(verbs_of_call.call) END) AS obstacle) found
$$;
COMMENT ON FUNCTION onceward.verbs_of_call(uuid) IS 'What a person may do with a call now: for each verb whether it is allowed, and what it would do or why it is not. No row: there is no such call.';

CREATE FUNCTION onceward.verbs_of_flow(flow uuid) RETURNS TABLE (verb text, allowed boolean, why text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT v.verb, found.obstacle IS NULL, coalesce(found.obstacle, v.does)
    FROM onceward.flow_verbs(verbs_of_flow.flow) v,
         LATERAL (SELECT coalesce(v.obstacle, CASE WHEN onceward.subject_kind(v.verb) IS NOT NULL THEN onceward.open_decision(verbs_of_flow.flow) END) AS obstacle) found
$$;
COMMENT ON FUNCTION onceward.verbs_of_flow(uuid) IS 'What a person may do with a flow now: for each verb whether it is allowed, and what it would do or why it is not. No row: there is no such flow.';
