-- Calls in full: providers that are stopped, answers that come later, what is undone, and what a person settles.

CREATE TABLE onceward.provider (
  name text PRIMARY KEY CHECK (name <> ''),
  in_flight integer CHECK (in_flight > 0),
  per_second double precision CHECK (per_second > 0),
  seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  stopped_at timestamptz,
  stopped_by text,
  stop_reason text,
  CONSTRAINT a_stop_says_who_and_why CHECK (num_nonnulls(stopped_at, stopped_by, stop_reason) IN (0, 3))
);
INSERT INTO onceward.provider (name) SELECT DISTINCT provider FROM onceward.operation;
COMMENT ON TABLE onceward.provider IS 'Outside APIs, written by workers at start, and the switch that stops one.';
COMMENT ON COLUMN onceward.provider.name IS 'Name in the code.';
COMMENT ON COLUMN onceward.provider.in_flight IS 'Calls that one worker process makes at a time, at most.';
COMMENT ON COLUMN onceward.provider.per_second IS 'Calls that one worker process begins in a second, at most; NULL: any number.';
COMMENT ON COLUMN onceward.provider.seen_at IS 'When a worker last declared it.';
COMMENT ON COLUMN onceward.provider.stopped_at IS 'Since when nothing is sent to it: new calls are recorded and wait.';
COMMENT ON COLUMN onceward.provider.stopped_by IS 'Who stopped it: a person, or the ledger when the provider refused our credential.';
COMMENT ON COLUMN onceward.provider.stop_reason IS 'Why.';

CREATE TABLE onceward.worker (
  name text PRIMARY KEY,
  code_version text,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  flows text[] NOT NULL,
  providers text[] NOT NULL,
  resting text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE onceward.worker IS 'Workers, with their last sign of life. One that was not seen for a day is forgotten.';
COMMENT ON COLUMN onceward.worker.name IS 'As it stands in calls, attempts and flows.';
COMMENT ON COLUMN onceward.worker.code_version IS 'Version of its code, as it was told.';
COMMENT ON COLUMN onceward.worker.started_at IS 'When it began.';
COMMENT ON COLUMN onceward.worker.seen_at IS 'Its last sign of life.';
COMMENT ON COLUMN onceward.worker.flows IS 'Flows that it can run.';
COMMENT ON COLUMN onceward.worker.providers IS 'Providers that it can call.';
COMMENT ON COLUMN onceward.worker.resting IS 'Providers that it gives a rest, for they failed several times in a row.';

ALTER TABLE onceward.operation
  ADD COLUMN moves_value boolean NOT NULL DEFAULT false,
  ADD COLUMN undo text,
  ADD COLUMN expect_within interval CHECK (expect_within > interval '0'),
  ADD COLUMN code_version text,
  ADD FOREIGN KEY (provider) REFERENCES onceward.provider,
  ADD FOREIGN KEY (provider, undo) REFERENCES onceward.operation (provider, name) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON COLUMN onceward.operation.moves_value IS 'Its calls move money.';
COMMENT ON COLUMN onceward.operation.undo IS 'The operation of the same provider that reverses it.';
COMMENT ON COLUMN onceward.operation.expect_within IS 'How long the provider may take to report the outcome of what it has accepted; NULL: it answers at once.';
COMMENT ON COLUMN onceward.operation.code_version IS 'Version of the code that declared it last.';

ALTER TABLE onceward.call
  ADD COLUMN seq integer,
  ADD COLUMN pivot boolean NOT NULL DEFAULT false,
  ADD COLUMN undoes uuid REFERENCES onceward.call,
  ADD COLUMN undo_request bytea,
  ADD COLUMN start_before timestamptz,
  ADD COLUMN expect_by timestamptz,
  ADD COLUMN asked text CHECK (asked IN ('lookup', 'resend')),
  ADD COLUMN difference text,
  ADD COLUMN difference_accepted_at timestamptz,
  ADD COLUMN conflict_at timestamptz,
  ADD COLUMN purged_at timestamptz,
  ADD COLUMN resolution_id uuid,
  ALTER COLUMN request DROP NOT NULL,
  DROP CONSTRAINT call_state_check,
  DROP CONSTRAINT call_settled_by_check,
  DROP CONSTRAINT settled_says_when_and_by_what,
  DROP CONSTRAINT nothing_ambiguous_is_pending,
  DROP CONSTRAINT failed_is_proven,
  DROP CONSTRAINT what_was_sent_says_when_and_where,
  DROP CONSTRAINT success_has_a_result,
  ADD CONSTRAINT call_state_check CHECK (state IN ('pending', 'in_flight', 'in_doubt', 'accepted', 'succeeded', 'failed', 'cancelled')),
  ADD CONSTRAINT call_settled_by_check CHECK (settled_by IN ('answer', 'lookup', 'webhook', 'person', 'system')),
  ADD CONSTRAINT settled_says_when_and_by_what CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (settled_at IS NOT NULL AND settled_by IS NOT NULL)),
  ADD CONSTRAINT nothing_ambiguous_is_pending CHECK (NOT ambiguous OR state NOT IN ('pending', 'cancelled')),
  ADD CONSTRAINT failed_is_proven CHECK (state <> 'failed' OR NOT ambiguous OR settled_by IN ('lookup', 'webhook', 'person')),
  ADD CONSTRAINT what_was_sent_says_when_and_where CHECK (
    state NOT IN ('in_flight', 'in_doubt', 'accepted') OR (first_sent_at IS NOT NULL AND send_by IS NOT NULL AND scope IS NOT NULL)),
  ADD CONSTRAINT what_is_accepted_is_expected CHECK (state <> 'accepted' OR expect_by IS NOT NULL),
  ADD CONSTRAINT success_has_a_result CHECK (state <> 'succeeded' OR result IS NOT NULL OR purged_at IS NOT NULL),
  ADD CONSTRAINT a_request_is_kept_until_the_purge CHECK (request IS NOT NULL OR purged_at IS NOT NULL),
  ADD CONSTRAINT a_request_is_at_most_a_megabyte CHECK (octet_length(request) <= 1048576),
  ADD CONSTRAINT only_what_is_settled_is_purged CHECK (purged_at IS NULL OR settled_at IS NOT NULL),
  ADD CONSTRAINT a_person_settles_by_a_resolution CHECK (settled_by <> 'person' OR resolution_id IS NOT NULL),
  ADD CONSTRAINT nothing_undoes_itself CHECK (undoes <> id);
CREATE INDEX call_undoes ON onceward.call (undoes) WHERE undoes IS NOT NULL;
COMMENT ON COLUMN onceward.call.request IS 'The request''s bytes. These are sent, at every attempt, never a rebuilt request. NULL once personal data were purged.';
COMMENT ON COLUMN onceward.call.take IS 'Counts the calls that a person let make for one step, each under a key of its own, after the one before had failed.';
COMMENT ON COLUMN onceward.call.state IS
  'pending: proven not to have taken effect, will be sent; in_flight: an attempt is under way; in_doubt: may or may not have taken effect; accepted: the provider reports the outcome later; succeeded; failed: proven to have no effect; cancelled: never sent, and never will be.';
COMMENT ON COLUMN onceward.call.due_at IS
  'When something automatic happens next; while in_flight the end of the lease. NULL while in_doubt or accepted: nothing automatic is left.';
COMMENT ON COLUMN onceward.call.seq IS 'Order in its flow, by which calls are undone in reverse.';
COMMENT ON COLUMN onceward.call.pivot IS 'Once it has succeeded its flow only goes forward.';
COMMENT ON COLUMN onceward.call.undoes IS 'The call whose effect this one reverses, wholly or in part.';
COMMENT ON COLUMN onceward.call.undo_request IS 'What would be sent to reverse it, computed when its result was recorded.';
COMMENT ON COLUMN onceward.call.start_before IS 'If it was not sent until then, it is cancelled.';
COMMENT ON COLUMN onceward.call.expect_by IS 'When the outcome of what the provider accepted is overdue.';
COMMENT ON COLUMN onceward.call.asked IS 'What a person has asked the worker to do next, if that is safe.';
COMMENT ON COLUMN onceward.call.difference IS 'What the provider did other than it was asked, as the operation''s check says. The flow waits until a person accepts it.';
COMMENT ON COLUMN onceward.call.difference_accepted_at IS 'When a person accepted that.';
COMMENT ON COLUMN onceward.call.conflict_at IS 'When evidence first contradicted how the call is settled.';
COMMENT ON COLUMN onceward.call.purged_at IS 'When request, result and answers were removed for the sake of personal data; fingerprints stay.';
COMMENT ON COLUMN onceward.call.resolution_id IS 'The decision by which a person settled it, or had it made.';

ALTER TABLE onceward.attempt
  ADD COLUMN answer_sha256 bytea CHECK (octet_length(answer_sha256) = 32),
  DROP CONSTRAINT attempt_verdict_check,
  ADD CONSTRAINT attempt_verdict_check CHECK (
    verdict IN ('applied', 'accepted', 'rejected', 'not_reached', 'not_sent', 'throttled', 'in_progress', 'absent', 'unknown'));
COMMENT ON COLUMN onceward.attempt.answer_sha256 IS 'SHA-256 of the whole answer, also of what was cut off; it stays when the answer is purged.';

CREATE OR REPLACE FUNCTION onceward.call_is_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  free text[] := '{conflict_at,purged_at,difference_accepted_at,version}';
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.purged_at IS NOT NULL THEN
      free := free || '{request,result,undo_request,error_text,difference}'::text[];
    END IF;
    IF to_jsonb(NEW) - free = to_jsonb(OLD) - free THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'call % is settled as %', OLD.id, OLD.state USING ERRCODE = 'OW001';
END $$;
COMMENT ON FUNCTION onceward.call_is_final() IS
  'Refuses, with SQLSTATE OW001 and from whatever program, to change a settled call, but for what comes to light about it later and the purge of its contents.';

CREATE FUNCTION onceward.undo_is_within() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  parent onceward.call;
  undone numeric;
  alive boolean;
BEGIN
  SELECT * INTO parent FROM onceward.call c WHERE c.id = NEW.undoes FOR UPDATE;  -- one undo of a call at a time
  IF parent.state IS DISTINCT FROM 'succeeded' OR parent.undoes IS NOT NULL THEN
    RAISE EXCEPTION 'call %: only a call that succeeded, and is no undo itself, can be undone', NEW.undoes USING ERRCODE = 'OW002';
  END IF;
  IF NEW.amount IS NULL THEN  -- an operation that names no amount reverses all of it
    NEW.amount := parent.amount;
    NEW.currency := parent.currency;
  END IF;
  SELECT coalesce(sum(c.amount), 0), count(*) > 0 INTO undone, alive
    FROM onceward.call c WHERE c.undoes = parent.id AND c.state NOT IN ('failed', 'cancelled') AND c.id <> NEW.id;
  IF parent.amount IS NULL AND alive THEN
    RAISE EXCEPTION 'call %: is undone already, or just being undone', parent.id USING ERRCODE = 'OW002';
  ELSIF parent.currency <> NEW.currency THEN
    RAISE EXCEPTION 'call %: moved %, not %', parent.id, parent.currency, NEW.currency USING ERRCODE = 'OW002';
  ELSIF undone + NEW.amount > parent.amount THEN
    RAISE EXCEPTION 'call %: of % % are % undone already, or just being undone, so not % more',
      parent.id, trim_scale(parent.amount), parent.currency, trim_scale(undone), trim_scale(NEW.amount) USING ERRCODE = 'OW002';
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION onceward.undo_is_within() IS
  'Refuses, with SQLSTATE OW002, to undo more of a call than it moved, counting what is undone or about to be; the call is locked, so that two cannot do so at once.';
CREATE TRIGGER undo_within BEFORE INSERT ON onceward.call FOR EACH ROW WHEN (NEW.undoes IS NOT NULL) EXECUTE FUNCTION onceward.undo_is_within();

-- Of each provider by itself: thousands of calls that wait for one that is down are in nobody's way to another's.
DROP INDEX onceward.call_due;
CREATE INDEX call_due ON onceward.call (provider, due_at) WHERE due_at IS NOT NULL;

CREATE FUNCTION onceward.durable() RETURNS void LANGUAGE sql BEGIN ATOMIC
  SELECT pg_catalog.set_config('synchronous_commit',
           CASE pg_catalog.current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
         pg_catalog.set_config('TimeZone', 'UTC', true),
         pg_catalog.set_config('idle_in_transaction_session_timeout',
           CASE WHEN CAST(pg_catalog.current_setting('idle_in_transaction_session_timeout') AS interval) BETWEEN interval '1 millisecond' AND interval '30 s'
                THEN pg_catalog.current_setting('idle_in_transaction_session_timeout') ELSE '30s' END, true);
END;
COMMENT ON FUNCTION onceward.durable() IS
  'Lets this transaction''s commit wait for the disk, whatever the session''s default is, and reckons times in UTC: elsewhere the "1 day" for which a provider remembers a key has 25 hours when the clocks go back. Whoever is frozen in the transaction has locked a call, which others pass over: PostgreSQL ends it after 30 s without a statement.';
