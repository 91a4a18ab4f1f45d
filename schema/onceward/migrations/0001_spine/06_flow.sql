-- Flows: business processes of named steps, repeated until done; what succeeded is skipped.

CREATE TABLE onceward.flow (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (name <> ''),
  key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 1024),
  message_id uuid,
  input bytea NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'waiting', 'blocked', 'completed')),
  due_at timestamptz DEFAULT pg_catalog.clock_timestamp(),
  signals integer NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0,
  worker text,
  failures integer NOT NULL DEFAULT 0,
  error text,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  ended_at timestamptz,
  UNIQUE (name, key),
  CONSTRAINT ended_exactly_when_completed CHECK ((state = 'completed') = (ended_at IS NOT NULL)),
  CONSTRAINT nothing_is_due_after_the_end CHECK (ended_at IS NULL OR due_at IS NULL),
  CONSTRAINT running_is_due CHECK (state <> 'running' OR due_at IS NOT NULL),
  CONSTRAINT blocked_is_not_due CHECK (state <> 'blocked' OR due_at IS NULL)
);
CREATE INDEX flow_due ON onceward.flow (due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE onceward.flow IS 'One run of a flow for one business key.';
COMMENT ON COLUMN onceward.flow.id IS 'UUIDv5 of participant, name and key: the same after a restore, so that its calls keep their keys.';
COMMENT ON COLUMN onceward.flow.name IS 'Name of the flow in the code.';
COMMENT ON COLUMN onceward.flow.key IS 'Business key; a flow of one name runs once per key.';
COMMENT ON COLUMN onceward.flow.message_id IS 'The message that started it, if one did.';
COMMENT ON COLUMN onceward.flow.input IS 'The starting message, as JSON.';
COMMENT ON COLUMN onceward.flow.state IS 'running: due now or claimed; waiting: for a call to be settled; blocked: needs a person; completed.';
COMMENT ON COLUMN onceward.flow.due_at IS 'When a worker may claim it; while one runs it, the end of its lease.';
COMMENT ON COLUMN onceward.flow.signals IS 'Raised by everything that may let it go on; a worker parks it only if the number is still the one it saw.';
COMMENT ON COLUMN onceward.flow.epoch IS 'Fencing number: raised by every claim.';
COMMENT ON COLUMN onceward.flow.worker IS 'Who claimed it last.';
COMMENT ON COLUMN onceward.flow.failures IS 'Failed runs in a row.';
COMMENT ON COLUMN onceward.flow.error IS 'Traceback of the last failed run.';
COMMENT ON COLUMN onceward.flow.version IS 'Raised by every change, for views that may be stale.';
COMMENT ON COLUMN onceward.flow.created_at IS 'When it was started.';
COMMENT ON COLUMN onceward.flow.ended_at IS 'When it ended.';

CREATE TABLE onceward.flow_step (
  flow_id uuid NOT NULL REFERENCES onceward.flow,
  step text NOT NULL CHECK (step <> ''),
  seq integer NOT NULL,
  kind text NOT NULL CHECK (kind IN ('transact', 'publish')),
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  result jsonb,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (flow_id, step)
);
COMMENT ON TABLE onceward.flow_step IS 'Local steps that are done, written in the transaction of their effects. Calls are steps too and stand in the table call.';
COMMENT ON COLUMN onceward.flow_step.flow_id IS 'The flow.';
COMMENT ON COLUMN onceward.flow_step.step IS 'Name of the step, unique within the flow.';
COMMENT ON COLUMN onceward.flow_step.seq IS 'Order in the run that recorded it.';
COMMENT ON COLUMN onceward.flow_step.kind IS 'transact: a function of the team; publish: a message.';
COMMENT ON COLUMN onceward.flow_step.fingerprint IS 'SHA-256 of what the step was asked to do, so that another question under the same name is noticed.';
COMMENT ON COLUMN onceward.flow_step.result IS 'What the step returned.';
COMMENT ON COLUMN onceward.flow_step.at IS 'When it was done.';
