-- Who has to agree: the rules, and the mode of a team of one.

CREATE FUNCTION onceward.person(actor text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN pg_catalog.lower(pg_catalog.btrim(pg_catalog.regexp_replace(actor, '[[:space:][:cntrl:]]+', ' ', 'g')));
COMMENT ON FUNCTION onceward.person(text) IS 'The person behind a name: without regard to case and blanks.';
ALTER TABLE onceward.resolution
  ADD CONSTRAINT two_people_decide CHECK (
    state NOT IN ('approved', 'applied', 'failed') OR approvals = 0 OR solo OR onceward.person(decided_by) <> onceward.person(proposed_by));

CREATE FUNCTION onceward.is_solo() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT coalesce((SELECT value = 'true' FROM onceward.setting WHERE name = 'solo'), false)
$$;
COMMENT ON FUNCTION onceward.is_solo() IS 'Whether one person decides alone, after a delay.';

CREATE FUNCTION onceward.approvals_by_rule(verb text, provider text, operation text, amount numeric, currency text) RETURNS smallint
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT coalesce(
    (SELECT max(r.approvals) FROM onceward.approval_rule r
      WHERE r.provider IN ('*', approvals_by_rule.provider) AND r.operation IN ('*', approvals_by_rule.operation)
        AND r.verb IN ('*', approvals_by_rule.verb) AND r.currency IN ('*', approvals_by_rule.currency)
        AND (r.above = 0 OR approvals_by_rule.amount > r.above)),
    CASE WHEN approvals_by_rule.verb IN ('applied', 'accept_difference') THEN 0 ELSE 1 END)
$$;
COMMENT ON FUNCTION onceward.approvals_by_rule(text, text, text, numeric, text) IS
  'How many other people have to agree to a verb on such a call: the strictest of the rules that fit, else the default, 0 for applied and accept_difference and 1 for the others.';

CREATE FUNCTION onceward.approvals_needed(verb text, subject uuid, amount numeric, currency text, batch uuid) RETURNS smallint
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT greatest(CASE WHEN approvals_needed.batch IS NULL THEN 0 ELSE 1 END, CASE onceward.subject_kind(approvals_needed.verb)
    WHEN 'call' THEN (SELECT onceward.approvals_by_rule(approvals_needed.verb, c.provider, c.operation, approvals_needed.amount, approvals_needed.currency)
                        FROM onceward.call c WHERE c.id = approvals_needed.subject)
    ELSE coalesce((SELECT max(onceward.approvals_by_rule(approvals_needed.verb, c.provider, c.operation, c.amount, c.currency))
                     FROM onceward.call c WHERE c.flow_id = approvals_needed.subject),
                  onceward.approvals_by_rule(approvals_needed.verb, NULL, NULL, NULL, NULL)) END)
$$;
COMMENT ON FUNCTION onceward.approvals_needed(text, uuid, numeric, text, uuid) IS
  'How many other people have to agree to a decision. For a flow the strictest that any of its calls asks for; whatever belongs to a batch needs one.';

CREATE FUNCTION onceward.set_rule(provider text, operation text, verb text, currency text, above numeric, approvals integer, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF set_rule.provider <> '*' AND NOT EXISTS (SELECT FROM onceward.provider p WHERE p.name = set_rule.provider) THEN
    RAISE EXCEPTION 'provider: no worker has declared %', set_rule.provider USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a name that `onceward providers list` shows, or * for any.';
  ELSIF set_rule.operation <> '*'
        AND NOT EXISTS (SELECT FROM onceward.operation o WHERE set_rule.provider IN ('*', o.provider) AND o.name = set_rule.operation) THEN
    RAISE EXCEPTION 'operation: no worker has declared % of provider %', set_rule.operation, set_rule.provider USING ERRCODE = 'invalid_parameter_value', HINT = '* stands for any.';
  ELSIF set_rule.verb <> '*' AND onceward.subject_kind(set_rule.verb) IS NULL THEN
    RAISE EXCEPTION 'verb: % is no decision', set_rule.verb
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give applied, not_applied, new_key, refund, accept_difference, undo or close, or * for any.';
  ELSIF set_rule.currency <> '*' AND set_rule.currency !~ '^[A-Z]{3}$' THEN
    RAISE EXCEPTION 'currency: % is not like EUR', set_rule.currency USING ERRCODE = 'invalid_parameter_value', HINT = '* stands for any.';
  ELSIF NOT coalesce(set_rule.above >= 0 AND set_rule.above < 'Infinity', false) THEN
    RAISE EXCEPTION 'above: % is no amount', set_rule.above USING ERRCODE = 'invalid_parameter_value', HINT = 'Give 0 or more; 0 stands for any amount.';
  ELSIF set_rule.above > 0 AND set_rule.currency = '*' THEN
    RAISE EXCEPTION 'currency: an amount needs one' USING ERRCODE = 'invalid_parameter_value', HINT = 'Amounts of different currencies do not compare.';
  ELSIF NOT coalesce(set_rule.approvals IN (0, 1), false) THEN
    RAISE EXCEPTION 'approvals: % is neither 0 nor 1', set_rule.approvals USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO onceward.approval_rule AS r (provider, operation, verb, currency, above, approvals, set_by)
  VALUES (set_rule.provider, set_rule.operation, set_rule.verb, set_rule.currency, set_rule.above, set_rule.approvals, set_rule.actor)
  ON CONFLICT ON CONSTRAINT approval_rule_pkey DO UPDATE SET approvals = excluded.approvals, set_by = excluded.set_by, set_at = clock_timestamp();
  PERFORM onceward.record(set_rule.actor, 'rule.set', 'rule', concat_ws('/', set_rule.provider, set_rule.operation, set_rule.verb, set_rule.currency),
    set_rule.reason, jsonb_build_object('above', set_rule.above, 'approvals', set_rule.approvals));
END $$;
COMMENT ON FUNCTION onceward.set_rule(text, text, text, text, numeric, integer, text, text) IS
  'Sets how many other people have to agree to decisions of a kind; * stands for any. Raises 22023 with the field that is wrong.';

CREATE FUNCTION onceward.drop_rule(provider text, operation text, verb text, currency text, above numeric, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  dropped onceward.approval_rule;
BEGIN
  DELETE FROM onceward.approval_rule r
   WHERE (r.provider, r.operation, r.verb, r.currency, r.above) = (drop_rule.provider, drop_rule.operation, drop_rule.verb, drop_rule.currency, drop_rule.above)
  RETURNING * INTO dropped;
  IF dropped.provider IS NULL THEN
    RAISE EXCEPTION 'rule: there is none for %', concat_ws('/', drop_rule.provider, drop_rule.operation, drop_rule.verb, drop_rule.currency)
      USING ERRCODE = 'no_data_found', HINT = '`onceward rules list` shows them.';
  END IF;
  PERFORM onceward.record(drop_rule.actor, 'rule.drop', 'rule', concat_ws('/', dropped.provider, dropped.operation, dropped.verb, dropped.currency),
    drop_rule.reason, jsonb_build_object('above', dropped.above, 'approvals', dropped.approvals));
END $$;
COMMENT ON FUNCTION onceward.drop_rule(text, text, text, text, numeric, text, text) IS 'Removes a rule. Raises 02000 if there is no such rule.';

CREATE FUNCTION onceward.set_solo(solo boolean, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO onceward.setting AS s (name, value, set_by) VALUES ('solo', to_jsonb(set_solo.solo), set_solo.actor)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = clock_timestamp();
  PERFORM onceward.record(set_solo.actor, 'solo.set', 'setting', 'solo', set_solo.reason, jsonb_build_object('solo', set_solo.solo));
END $$;
COMMENT ON FUNCTION onceward.set_solo(boolean, text, text) IS
  'Lets one person decide alone, or not any more. What needs another person is then carried out ten minutes later, its amount has to be typed, and the audit says so.';
