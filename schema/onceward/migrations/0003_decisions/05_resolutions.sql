-- What people decide: proposed, approved where a rule asks for a second person, carried out by a worker.

CREATE TABLE onceward.resolution (
  id uuid PRIMARY KEY,
  call_id uuid REFERENCES onceward.call,
  flow_id uuid REFERENCES onceward.flow,
  verb text NOT NULL CHECK (verb IN ('applied', 'not_applied', 'new_key', 'refund', 'accept_difference', 'undo', 'close')),
  seen_version bigint NOT NULL,
  body jsonb NOT NULL DEFAULT '{}',
  amount numeric(30, 10) CHECK (amount <> 'NaN' AND amount >= 0),
  currency char(3) CHECK (currency ~ '^[A-Z]{3}$'),
  reason text NOT NULL CONSTRAINT a_reason_says_something CHECK (length(btrim(reason)) BETWEEN 10 AND 4000),
  evidence_id uuid REFERENCES onceward.evidence,
  batch_id uuid,
  approvals smallint NOT NULL CHECK (approvals IN (0, 1)),
  solo boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'approved', 'applied', 'failed', 'rejected', 'withdrawn', 'stale')),
  proposed_by text NOT NULL CHECK (proposed_by <> ''),
  proposed_role name NOT NULL DEFAULT session_user,
  proposed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  decided_by text CHECK (decided_by <> ''),
  decided_at timestamptz,
  decision_note text,
  not_before timestamptz,
  ended_at timestamptz,
  outcome text,
  CONSTRAINT a_resolution_has_one_subject CHECK (num_nonnulls(call_id, flow_id) = 1),
  CONSTRAINT a_verb_fits_its_subject CHECK ((verb IN ('undo', 'close')) = (flow_id IS NOT NULL)),
  CONSTRAINT applied_has_evidence CHECK (verb <> 'applied' OR evidence_id IS NOT NULL),
  CONSTRAINT a_resolution_amount_has_a_currency CHECK ((amount IS NULL) = (currency IS NULL)),
  CONSTRAINT proposed_is_not_decided CHECK ((state = 'proposed') = (decided_at IS NULL)),
  CONSTRAINT approved_says_from_when CHECK (state NOT IN ('approved', 'applied', 'failed') OR not_before IS NOT NULL),
  CONSTRAINT an_end_says_when CHECK ((state IN ('proposed', 'approved')) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX resolution_one_open ON onceward.resolution (coalesce(call_id, flow_id)) WHERE state IN ('proposed', 'approved');
CREATE INDEX resolution_of ON onceward.resolution (coalesce(call_id, flow_id), proposed_at);
CREATE INDEX resolution_waiting ON onceward.resolution (proposed_at) WHERE state = 'proposed';
CREATE INDEX resolution_approved ON onceward.resolution (not_before) WHERE state = 'approved';
CREATE INDEX resolution_batch ON onceward.resolution (batch_id) WHERE batch_id IS NOT NULL;
COMMENT ON TABLE onceward.resolution IS
  'A person''s decision about a call or a flow. One open at a time for each; a worker, which has the provider''s code, carries it out.';
COMMENT ON COLUMN onceward.resolution.id IS 'Made by the form: sent twice, it is one decision.';
COMMENT ON COLUMN onceward.resolution.call_id IS 'The call.';
COMMENT ON COLUMN onceward.resolution.flow_id IS 'The flow.';
COMMENT ON COLUMN onceward.resolution.verb IS
  'applied, not_applied: settles a call in doubt; new_key: makes a failed call again under another key; refund: reverses a call that succeeded; accept_difference: takes what the provider did; undo: reverses a flow; close: gives one up.';
COMMENT ON COLUMN onceward.resolution.seen_version IS 'Version of the call or flow that the person saw; if it has changed since, the decision is stale.';
COMMENT ON COLUMN onceward.resolution.body IS 'For applied {"result": ...}; for a refund in part {"request": ...}; else {}.';
COMMENT ON COLUMN onceward.resolution.amount IS 'Money at stake: of the call, or what is refunded.';
COMMENT ON COLUMN onceward.resolution.currency IS 'ISO 4217.';
COMMENT ON COLUMN onceward.resolution.reason IS 'Why, in the person''s words: 10 to 4000 characters.';
COMMENT ON COLUMN onceward.resolution.evidence_id IS 'What it rests on.';
COMMENT ON COLUMN onceward.resolution.batch_id IS 'What was decided with it at once.';
COMMENT ON COLUMN onceward.resolution.approvals IS 'How many other people have to agree, by the rules when it was proposed.';
COMMENT ON COLUMN onceward.resolution.solo IS 'Decided where the rule of two is set aside, since there is but one person: the amount typed, a delay, a mark in the audit.';
COMMENT ON COLUMN onceward.resolution.state IS
  'proposed: waits for another person; approved: waits for a worker; applied: carried out; failed: a worker could not, see outcome; rejected; withdrawn; stale: the facts had changed.';
COMMENT ON COLUMN onceward.resolution.proposed_by IS 'Who proposed it, as the program that asked says.';
COMMENT ON COLUMN onceward.resolution.proposed_role IS 'Role that was logged in to the database.';
COMMENT ON COLUMN onceward.resolution.proposed_at IS 'When.';
COMMENT ON COLUMN onceward.resolution.decided_by IS 'Who approved, rejected or withdrew it; who proposed it, if nobody else had to agree.';
COMMENT ON COLUMN onceward.resolution.decided_at IS 'When.';
COMMENT ON COLUMN onceward.resolution.decision_note IS 'What they said to it.';
COMMENT ON COLUMN onceward.resolution.not_before IS 'A worker carries it out after this moment.';
COMMENT ON COLUMN onceward.resolution.ended_at IS 'When it was carried out or came to another end.';
COMMENT ON COLUMN onceward.resolution.outcome IS 'What the worker did, or why it could not.';

ALTER TABLE onceward.call ADD FOREIGN KEY (resolution_id) REFERENCES onceward.resolution;
ALTER TABLE onceward.flow ADD FOREIGN KEY (resolution_id) REFERENCES onceward.resolution;

CREATE TABLE onceward.approval_rule (
  provider text NOT NULL DEFAULT '*',
  operation text NOT NULL DEFAULT '*',
  verb text NOT NULL DEFAULT '*',
  currency text NOT NULL DEFAULT '*',
  above numeric(30, 10) NOT NULL DEFAULT 0 CHECK (above <> 'NaN' AND above >= 0),
  approvals smallint NOT NULL CHECK (approvals IN (0, 1)),
  set_by text NOT NULL CHECK (set_by <> ''),
  set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (provider, operation, verb, currency, above)
);
COMMENT ON TABLE onceward.approval_rule IS 'How many other people have to agree to a decision. Of all rules that fit, the strictest counts; without one, the default of the verb.';
COMMENT ON COLUMN onceward.approval_rule.provider IS 'Provider, or * for any.';
COMMENT ON COLUMN onceward.approval_rule.operation IS 'Operation, or * for any.';
COMMENT ON COLUMN onceward.approval_rule.verb IS 'Verb, or * for any.';
COMMENT ON COLUMN onceward.approval_rule.currency IS 'ISO 4217, or * for any.';
COMMENT ON COLUMN onceward.approval_rule.above IS 'It counts for amounts above this; with 0 also where no amount is known.';
COMMENT ON COLUMN onceward.approval_rule.approvals IS '0 or 1.';
COMMENT ON COLUMN onceward.approval_rule.set_by IS 'Who set it.';
COMMENT ON COLUMN onceward.approval_rule.set_at IS 'When.';

CREATE TABLE onceward.setting (
  name text PRIMARY KEY CHECK (name IN ('solo')),
  value jsonb NOT NULL,
  set_by text NOT NULL CHECK (set_by <> ''),
  set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE onceward.setting IS 'What a team has set for its people.';
COMMENT ON COLUMN onceward.setting.name IS 'solo: true where one person decides alone, after a delay.';
COMMENT ON COLUMN onceward.setting.value IS 'As JSON.';
COMMENT ON COLUMN onceward.setting.set_by IS 'Who set it.';
COMMENT ON COLUMN onceward.setting.set_at IS 'When.';
