-- Flows that wait, are undone, paused and closed.

ALTER TABLE onceward.flow
  ADD COLUMN undoing boolean NOT NULL DEFAULT false,
  ADD COLUMN undo_reason text,
  ADD COLUMN pivot_step text,
  ADD COLUMN paused_at timestamptz,
  ADD COLUMN code_version text,
  ADD COLUMN resolution_id uuid,
  ADD COLUMN purged_at timestamptz,
  DROP CONSTRAINT flow_state_check,
  DROP CONSTRAINT ended_exactly_when_completed,
  ADD CONSTRAINT flow_state_check CHECK (state IN ('running', 'waiting', 'blocked', 'completed', 'undone', 'closed')),
  ADD CONSTRAINT ended_says_when CHECK ((state IN ('completed', 'undone', 'closed')) = (ended_at IS NOT NULL)),
  ADD CONSTRAINT undoing_says_why CHECK (undoing = (undo_reason IS NOT NULL)),
  ADD CONSTRAINT undone_is_the_end_of_undoing CHECK (CASE state WHEN 'undone' THEN undoing WHEN 'completed' THEN NOT undoing ELSE true END),
  ADD CONSTRAINT nothing_is_undone_past_the_pivot CHECK (NOT undoing OR pivot_step IS NULL),
  ADD CONSTRAINT a_person_closes_by_a_resolution CHECK (state <> 'closed' OR resolution_id IS NOT NULL),
  ADD CONSTRAINT only_what_has_ended_is_purged CHECK (purged_at IS NULL OR ended_at IS NOT NULL);
DROP INDEX onceward.flow_due;
CREATE INDEX flow_due ON onceward.flow (due_at) WHERE due_at IS NOT NULL AND paused_at IS NULL;
CREATE INDEX flow_open ON onceward.flow (state, created_at) WHERE ended_at IS NULL;
COMMENT ON COLUMN onceward.flow.state IS
  'running: due now or claimed; waiting: for a call, a message or a time; blocked: needs a person; completed; undone: every effect is reversed; closed: given up by a person.';
COMMENT ON COLUMN onceward.flow.due_at IS
  'When a worker may claim it; while one runs it, the end of its lease; while it waits, when the time is over that it waits at most. NULL: nothing automatic is next.';
COMMENT ON COLUMN onceward.flow.undoing IS 'Its code is run no more; what succeeded is undone in reverse order.';
COMMENT ON COLUMN onceward.flow.undo_reason IS 'Why it is undone, in the words of its code or of a person.';
COMMENT ON COLUMN onceward.flow.pivot_step IS 'The step after which it only goes forward, once that has succeeded.';
COMMENT ON COLUMN onceward.flow.paused_at IS 'Since when a person keeps workers from claiming it.';
COMMENT ON COLUMN onceward.flow.code_version IS 'Version of the code that ran it last, as its worker was told.';
COMMENT ON COLUMN onceward.flow.resolution_id IS 'The decision by which a person undid or closed it.';
COMMENT ON COLUMN onceward.flow.purged_at IS 'When its input, results and messages were removed for the sake of personal data.';

ALTER TABLE onceward.flow_step
  ADD COLUMN until timestamptz,
  DROP CONSTRAINT flow_step_kind_check,
  ADD CONSTRAINT flow_step_kind_check CHECK (kind IN ('transact', 'publish', 'wait', 'sleep', 'value')),
  ADD CONSTRAINT only_waits_and_sleeps_end_by_time CHECK (until IS NULL OR kind IN ('wait', 'sleep')),
  ADD CONSTRAINT a_sleep_ends_by_time CHECK (kind <> 'sleep' OR until IS NOT NULL),
  ADD CONSTRAINT a_value_is_kept CHECK (kind <> 'value' OR result IS NOT NULL);
COMMENT ON TABLE onceward.flow_step IS
  'Local steps, written in the transaction of their effects, and what the flow waits for. Calls are steps too and stand in the table call.';
COMMENT ON COLUMN onceward.flow_step.kind IS
  'transact: a function of the team; publish: a message; wait: for a message; sleep: for a time; value: what a function read.';
COMMENT ON COLUMN onceward.flow_step.result IS
  'What the step returned, as JSON; the message that a wait was for. NULL: a publish or sleep returns nothing, and a wait still waits.';
COMMENT ON COLUMN onceward.flow_step.until IS 'When a sleep is over; when a wait is late. NULL: the wait may take as long as it takes, or people were told that it is late.';

CREATE TABLE onceward.signal (
  flow_name text NOT NULL CHECK (flow_name <> ''),
  flow_key text NOT NULL CHECK (octet_length(flow_key) BETWEEN 1 AND 1024),
  type text NOT NULL CHECK (type <> ''),
  message_id uuid NOT NULL,
  topic text NOT NULL,
  body bytea NOT NULL,
  arrived_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  noticed boolean NOT NULL DEFAULT false,
  taken_by text,
  taken_at timestamptz,
  PRIMARY KEY (flow_name, flow_key, type, message_id),
  CONSTRAINT taken_says_when CHECK ((taken_by IS NULL) = (taken_at IS NULL))
);
CREATE INDEX signal_unnoticed ON onceward.signal (arrived_at) WHERE NOT noticed;
COMMENT ON TABLE onceward.signal IS
  'Messages that flows wait for, written in the transaction of the inbox. No foreign key: an answer may come before its flow, or after its end.';
COMMENT ON COLUMN onceward.signal.flow_name IS 'Name of the flow it is for.';
COMMENT ON COLUMN onceward.signal.flow_key IS 'Business key of the flow it is for.';
COMMENT ON COLUMN onceward.signal.type IS 'CloudEvents type.';
COMMENT ON COLUMN onceward.signal.message_id IS 'The message.';
COMMENT ON COLUMN onceward.signal.topic IS 'Topic it came from.';
COMMENT ON COLUMN onceward.signal.body IS 'Its payload.';
COMMENT ON COLUMN onceward.signal.arrived_at IS 'When.';
COMMENT ON COLUMN onceward.signal.noticed IS
  'Its flow was told, or will see it when it looks. False: nobody has made sure of that yet, for the flow was busy or not to be seen when it came; workers look each second.';
COMMENT ON COLUMN onceward.signal.taken_by IS 'The step that took it.';
COMMENT ON COLUMN onceward.signal.taken_at IS 'When.';
