-- Telling people: written with what it tells of, sent and sent again by workers until it is taken.

CREATE TABLE onceward.notification (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  channel text NOT NULL CHECK (channel <> ''),
  grp text NOT NULL,
  step smallint NOT NULL CHECK (step BETWEEN 1 AND 3),
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  due_at timestamptz DEFAULT pg_catalog.clock_timestamp(),
  attempts integer NOT NULL DEFAULT 0,
  sent_at timestamptz,
  error text,
  CONSTRAINT nothing_is_sent_twice CHECK (sent_at IS NULL OR due_at IS NULL)
);
CREATE INDEX notification_due ON onceward.notification (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notification_of_group ON onceward.notification (left(grp, 200), created_at);
COMMENT ON TABLE onceward.notification IS 'What is told to people over a channel: one for a group of incidents and a step of its escalation, never one for each incident.';
COMMENT ON COLUMN onceward.notification.id IS 'Identity, sent along: who gets it twice can tell.';
COMMENT ON COLUMN onceward.notification.channel IS 'Name of the channel in the worker''s code.';
COMMENT ON COLUMN onceward.notification.grp IS 'Group of the incidents.';
COMMENT ON COLUMN onceward.notification.step IS 'Step of the escalation: 1 is the first word.';
COMMENT ON COLUMN onceward.notification.body IS 'What is told: counts, times and sums, no content of any call or message.';
COMMENT ON COLUMN onceward.notification.created_at IS 'When it was written.';
COMMENT ON COLUMN onceward.notification.due_at IS 'When it is sent next. NULL: it was taken, or given up.';
COMMENT ON COLUMN onceward.notification.attempts IS 'How often it was sent.';
COMMENT ON COLUMN onceward.notification.sent_at IS 'When it was taken.';
COMMENT ON COLUMN onceward.notification.error IS 'Why it was not taken the last time.';

CREATE INDEX incident_escalating ON onceward.incident (opened_at) WHERE closed_at IS NULL AND escalated < 3;

GRANT SELECT, INSERT, UPDATE ON onceward.notification TO onceward_participant;
GRANT SELECT ON onceward.notification TO onceward_console, onceward_auditor;
