-- Incidents of all kinds, which people take, set aside for a while, and are reminded of.

ALTER TABLE onceward.incident
  ADD COLUMN act_before timestamptz,
  ADD COLUMN escalated smallint NOT NULL DEFAULT 0 CHECK (escalated BETWEEN 0 AND 3),
  ADD COLUMN assignee text CHECK (assignee <> ''),
  ADD COLUMN snoozed_until timestamptz,
  DROP CONSTRAINT incident_kind_check,
  ADD CONSTRAINT incident_kind_check CHECK (kind IN ('in_doubt', 'overdue', 'conflict', 'mismatch', 'stuck_after_pivot', 'undo_failed', 'flow_error',
    'flow_diverged', 'late_signal', 'unmatched', 'provider_stopped', 'parked_in', 'parked_out', 'history_lost'));
CREATE INDEX incident_of ON onceward.incident (coalesce(call_id, flow_id, message_id), opened_at);
CREATE INDEX incident_urgent ON onceward.incident (act_before) WHERE closed_at IS NULL AND act_before IS NOT NULL;
COMMENT ON COLUMN onceward.incident.kind IS
  'in_doubt: a call nobody can settle by code; overdue: an answer that has not come; conflict: evidence against how a call is settled; mismatch: the provider did something else than asked; stuck_after_pivot: a flow that can neither go on nor back; undo_failed; flow_error, flow_diverged: a flow that its code cannot carry on; late_signal: a message for a flow that had ended; unmatched: evidence about no call; provider_stopped: our credential was refused; parked_in, parked_out: a message set aside; history_lost: the database may have lost calls.';
COMMENT ON COLUMN onceward.incident.message_id IS 'The message, if it is about one; for unmatched the evidence, for history_lost the database''s new life.';
COMMENT ON COLUMN onceward.incident.act_before IS 'After this moment a way out is lost: the provider forgets the key.';
COMMENT ON COLUMN onceward.incident.escalated IS 'How many reminders were sent.';
COMMENT ON COLUMN onceward.incident.assignee IS 'Who has taken it.';
COMMENT ON COLUMN onceward.incident.snoozed_until IS 'Until then the worklist leaves it out.';
