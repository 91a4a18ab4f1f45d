-- Incidents: all that waits for a person.

CREATE TABLE onceward.incident (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  kind text NOT NULL CHECK (kind IN ('in_doubt', 'mismatch', 'flow_error', 'flow_diverged', 'parked_in', 'parked_out')),
  call_id uuid REFERENCES onceward.call,
  flow_id uuid REFERENCES onceward.flow,
  message_id uuid,
  grp text NOT NULL,
  severity smallint NOT NULL CHECK (severity BETWEEN 1 AND 3),
  title text NOT NULL,
  ref text,
  amount numeric(30, 10),
  currency char(3),
  opened_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  times integer NOT NULL DEFAULT 1,
  closed_at timestamptz,
  closed_by text,
  CONSTRAINT an_incident_has_a_subject CHECK (num_nonnulls(call_id, flow_id, message_id) >= 1),
  CONSTRAINT closed_by_somebody CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX incident_one_open ON onceward.incident (kind, coalesce(call_id, flow_id, message_id)) WHERE closed_at IS NULL;
CREATE INDEX incident_worklist ON onceward.incident (severity, opened_at, id) WHERE closed_at IS NULL;
CREATE INDEX incident_group ON onceward.incident (left(grp, 200), opened_at) WHERE closed_at IS NULL;  -- grp may hold a provider's error code, of any length
COMMENT ON TABLE onceward.incident IS 'Anything that waits for a person. At most one open incident of a kind for a subject.';
COMMENT ON COLUMN onceward.incident.id IS 'Identity.';
COMMENT ON COLUMN onceward.incident.kind IS
  'in_doubt: a call nobody can settle by code; mismatch: the provider did something else than asked; flow_error, flow_diverged: a flow that its code cannot carry on; parked_in, parked_out: a message set aside.';
COMMENT ON COLUMN onceward.incident.call_id IS 'The call, if it is about one.';
COMMENT ON COLUMN onceward.incident.flow_id IS 'The flow, if it is about one.';
COMMENT ON COLUMN onceward.incident.message_id IS 'The message, if it is about one.';
COMMENT ON COLUMN onceward.incident.grp IS 'Unit of bulk work: provider/operation/error code, flow/exception, or topic/error.';
COMMENT ON COLUMN onceward.incident.severity IS '1: money or order at risk; 2: work stands still; 3: to be looked at.';
COMMENT ON COLUMN onceward.incident.title IS 'What happened, in one sentence.';
COMMENT ON COLUMN onceward.incident.ref IS 'Business reference.';
COMMENT ON COLUMN onceward.incident.amount IS 'Money at stake.';
COMMENT ON COLUMN onceward.incident.currency IS 'ISO 4217.';
COMMENT ON COLUMN onceward.incident.opened_at IS 'When it was opened.';
COMMENT ON COLUMN onceward.incident.times IS 'How often the same happened while it was open.';
COMMENT ON COLUMN onceward.incident.closed_at IS 'When it was closed.';
COMMENT ON COLUMN onceward.incident.closed_by IS 'Who or what closed it.';
