-- The ledger: every external call, recorded before its first byte leaves.

CREATE TABLE onceward.operation (
  provider text NOT NULL CHECK (provider <> ''),
  name text NOT NULL CHECK (name <> ''),
  repeat text NOT NULL CHECK (repeat IN ('never', 'same_key', 'always')),
  key_lifetime interval,
  replays text NOT NULL DEFAULT 'successes' CHECK (replays IN ('successes', 'everything')),
  rejects_final boolean NOT NULL DEFAULT false,
  lookup text NOT NULL DEFAULT 'none' CHECK (lookup IN ('none', 'positive', 'authoritative')),
  settle_delay interval NOT NULL DEFAULT '0',
  timeout interval NOT NULL,
  shown text[] NOT NULL DEFAULT '{}',
  request_schema jsonb NOT NULL,
  result_schema jsonb NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (provider, name),
  CONSTRAINT a_key_has_a_lifetime CHECK ((repeat = 'same_key') = (key_lifetime IS NOT NULL))
);
COMMENT ON TABLE onceward.operation IS 'The operations that the participant''s code declares, written by its workers at start: all that screens know of the code.';
COMMENT ON COLUMN onceward.operation.provider IS 'Name of the provider.';
COMMENT ON COLUMN onceward.operation.name IS 'Name of the operation.';
COMMENT ON COLUMN onceward.operation.repeat IS 'Whether a request may be sent again: never; same_key: while the provider remembers the key; always: it is harmless.';
COMMENT ON COLUMN onceward.operation.key_lifetime IS 'How long the provider remembers an idempotency key.';
COMMENT ON COLUMN onceward.operation.replays IS 'What the provider replays under a known key: successes only, or everything, errors too.';
COMMENT ON COLUMN onceward.operation.rejects_final IS 'A rejection proves that no earlier attempt took effect.';
COMMENT ON COLUMN onceward.operation.lookup IS 'none; positive: found proves applied; authoritative: absent proves not applied, after settle_delay.';
COMMENT ON COLUMN onceward.operation.settle_delay IS 'How long after the last moment of an attempt the lookup may still be behind.';
COMMENT ON COLUMN onceward.operation.timeout IS 'Total deadline of one attempt.';
COMMENT ON COLUMN onceward.operation.shown IS 'Fields of the request that screens may show unmasked.';
COMMENT ON COLUMN onceward.operation.request_schema IS 'JSON Schema of the request.';
COMMENT ON COLUMN onceward.operation.result_schema IS 'JSON Schema of the result.';
COMMENT ON COLUMN onceward.operation.seen_at IS 'When a worker last declared it.';

CREATE TABLE onceward.call (
  id uuid PRIMARY KEY,
  flow_id uuid REFERENCES onceward.flow,
  step text,
  take smallint NOT NULL DEFAULT 1 CHECK (take > 0),
  provider text NOT NULL,
  operation text NOT NULL,
  key text COLLATE "C" NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
  request bytea NOT NULL,
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  ref text CHECK (octet_length(ref) <= 1024),
  amount numeric(30, 10),
  currency char(3) CHECK (currency ~ '^[A-Z]{3}$'),
  state text NOT NULL CHECK (state IN ('pending', 'in_flight', 'in_doubt', 'succeeded', 'failed')),
  ambiguous boolean NOT NULL DEFAULT false,
  due_at timestamptz,
  epoch bigint NOT NULL DEFAULT 0,
  worker text,
  attempts integer NOT NULL DEFAULT 0,
  first_sent_at timestamptz,
  send_by timestamptz,
  scope text,
  provider_ref text,
  result jsonb,
  error_code text,
  error_text text,
  settled_at timestamptz,
  settled_by text CHECK (settled_by IN ('answer', 'lookup', 'person')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  UNIQUE (flow_id, step, take),
  UNIQUE (provider, operation, key),
  FOREIGN KEY (provider, operation) REFERENCES onceward.operation,
  CONSTRAINT a_step_belongs_to_a_flow CHECK ((flow_id IS NULL) = (step IS NULL)),
  CONSTRAINT an_amount_has_a_currency CHECK ((amount IS NULL) = (currency IS NULL)),
  CONSTRAINT an_amount_is_a_number CHECK (amount <> 'NaN' AND amount >= 0),
  CONSTRAINT settled_says_when_and_by_what CHECK ((state IN ('succeeded', 'failed')) = (settled_at IS NOT NULL AND settled_by IS NOT NULL)),
  CONSTRAINT nothing_is_due_once_settled CHECK (settled_at IS NULL OR due_at IS NULL),
  CONSTRAINT what_code_can_move_is_due CHECK (state NOT IN ('pending', 'in_flight') OR due_at IS NOT NULL),
  CONSTRAINT nothing_ambiguous_is_pending CHECK (NOT ambiguous OR state <> 'pending'),
  CONSTRAINT in_doubt_is_ambiguous CHECK (ambiguous OR state <> 'in_doubt'),
  CONSTRAINT failed_is_proven CHECK (state <> 'failed' OR NOT ambiguous OR settled_by IN ('lookup', 'person')),
  CONSTRAINT what_was_sent_says_when_and_where CHECK (
    state NOT IN ('in_flight', 'in_doubt') OR (first_sent_at IS NOT NULL AND send_by IS NOT NULL AND scope IS NOT NULL)),
  CONSTRAINT success_has_a_result CHECK (state <> 'succeeded' OR result IS NOT NULL)
);
CREATE INDEX call_due ON onceward.call (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX call_open ON onceward.call (state, created_at) WHERE settled_at IS NULL;
CREATE INDEX call_ref ON onceward.call (ref text_pattern_ops);
-- The provider chooses its reference: one that is longer than an index entry may be must not keep a call from being settled.
CREATE INDEX call_provider_ref ON onceward.call (provider, left(provider_ref, 200));
COMMENT ON TABLE onceward.call IS 'External calls. A call takes effect at most once; what nobody can know is in_doubt and is never silently repeated.';
COMMENT ON COLUMN onceward.call.id IS 'UUIDv5 of flow, step and take, or of participant, operation and key: the same after a restore.';
COMMENT ON COLUMN onceward.call.flow_id IS 'The flow it is a step of; NULL for a call of its own.';
COMMENT ON COLUMN onceward.call.step IS 'Name of the step in the flow.';
COMMENT ON COLUMN onceward.call.take IS 'Counts the calls that a person let make for one step after the one before had failed.';
COMMENT ON COLUMN onceward.call.provider IS 'Provider.';
COMMENT ON COLUMN onceward.call.operation IS 'Operation.';
COMMENT ON COLUMN onceward.call.key IS 'Idempotency key, sent with every attempt.';
COMMENT ON COLUMN onceward.call.request IS 'The request''s bytes. These are sent, at every attempt, never a rebuilt request.';
COMMENT ON COLUMN onceward.call.fingerprint IS 'SHA-256 of the request.';
COMMENT ON COLUMN onceward.call.ref IS 'Business reference, for search.';
COMMENT ON COLUMN onceward.call.amount IS 'Money it moves.';
COMMENT ON COLUMN onceward.call.currency IS 'ISO 4217.';
COMMENT ON COLUMN onceward.call.state IS
  'pending: proven not to have taken effect, will be sent; in_flight: an attempt is under way; in_doubt: may or may not have taken effect; succeeded; failed: proven to have no effect.';
COMMENT ON COLUMN onceward.call.ambiguous IS 'Some attempt may have taken effect: the fold over all attempts, not the last answer.';
COMMENT ON COLUMN onceward.call.due_at IS 'When something automatic happens next; while in_flight the end of the lease. NULL while in_doubt: nothing automatic is left.';
COMMENT ON COLUMN onceward.call.epoch IS 'Fencing number: raised by every attempt and every expired lease.';
COMMENT ON COLUMN onceward.call.worker IS 'Who made the last attempt.';
COMMENT ON COLUMN onceward.call.attempts IS 'Number of attempts, sends and lookups.';
COMMENT ON COLUMN onceward.call.first_sent_at IS 'When the first attempt began; the key''s lifetime counts from here.';
COMMENT ON COLUMN onceward.call.send_by IS 'No byte of the last attempt left after this moment.';
COMMENT ON COLUMN onceward.call.scope IS 'Account, region and credential under which the key is known to the provider.';
COMMENT ON COLUMN onceward.call.provider_ref IS 'The provider''s reference of the effect.';
COMMENT ON COLUMN onceward.call.result IS 'The provider''s answer, as the operation''s result type.';
COMMENT ON COLUMN onceward.call.error_code IS 'Why it failed or is in doubt: the provider''s code, or the kind of fault.';
COMMENT ON COLUMN onceward.call.error_text IS 'The same in words.';
COMMENT ON COLUMN onceward.call.settled_at IS 'When the outcome became known.';
COMMENT ON COLUMN onceward.call.settled_by IS 'What made it known.';
COMMENT ON COLUMN onceward.call.version IS 'Raised by every change, for views that may be stale.';
COMMENT ON COLUMN onceward.call.created_at IS 'When it was recorded.';

CREATE TABLE onceward.attempt (
  call_id uuid NOT NULL REFERENCES onceward.call,
  no integer NOT NULL CHECK (no > 0),
  kind text NOT NULL CHECK (kind IN ('send', 'lookup')),
  epoch bigint NOT NULL,
  worker text NOT NULL,
  scope text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  send_by timestamptz NOT NULL,
  ended_at timestamptz,
  late boolean NOT NULL DEFAULT false,
  http_status smallint,
  verdict text CHECK (verdict IN ('applied', 'rejected', 'not_reached', 'not_sent', 'throttled', 'in_progress', 'absent', 'unknown')),
  detail text,
  answer bytea CHECK (octet_length(answer) <= 65536),
  PRIMARY KEY (call_id, no),
  CONSTRAINT ended_has_a_verdict CHECK ((ended_at IS NULL) = (verdict IS NULL))
);
COMMENT ON TABLE onceward.attempt IS 'Tries of a call, each committed before its first byte leaves.';
COMMENT ON COLUMN onceward.attempt.call_id IS 'The call.';
COMMENT ON COLUMN onceward.attempt.no IS 'Number within the call.';
COMMENT ON COLUMN onceward.attempt.kind IS 'send: may have an effect; lookup: only asks.';
COMMENT ON COLUMN onceward.attempt.epoch IS 'Epoch of the call under which it was made.';
COMMENT ON COLUMN onceward.attempt.worker IS 'Who made it.';
COMMENT ON COLUMN onceward.attempt.scope IS 'Scope of the key at that time.';
COMMENT ON COLUMN onceward.attempt.began_at IS 'When it was recorded.';
COMMENT ON COLUMN onceward.attempt.send_by IS 'No byte left after this moment.';
COMMENT ON COLUMN onceward.attempt.ended_at IS 'When its end was recorded. NULL: under way, or its process died.';
COMMENT ON COLUMN onceward.attempt.late IS 'Its answer came after its lease had ended.';
COMMENT ON COLUMN onceward.attempt.http_status IS 'HTTP status, if there was one.';
COMMENT ON COLUMN onceward.attempt.verdict IS 'What it proves: see the table in ARCHITECTURE.md.';
COMMENT ON COLUMN onceward.attempt.detail IS 'In words.';
COMMENT ON COLUMN onceward.attempt.answer IS 'The answer''s bytes, cut at 65536.';

CREATE FUNCTION onceward.call_is_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'call % is settled as %', OLD.id, OLD.state USING ERRCODE = 'OW001';
END $$;
COMMENT ON FUNCTION onceward.call_is_final() IS 'Refuses every change of a settled call, from whatever program, with SQLSTATE OW001.';
CREATE TRIGGER call_final BEFORE UPDATE OR DELETE ON onceward.call FOR EACH ROW
  WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION onceward.call_is_final();
