-- Messages for flows that nobody has started: counted, and told to people when they have waited for long.

ALTER TABLE onceward.signal
  ADD COLUMN flowless boolean NOT NULL DEFAULT false,
  ADD COLUMN told_at timestamptz;
UPDATE onceward.signal s SET flowless = true
 WHERE s.noticed AND s.taken_by IS NULL AND NOT EXISTS (SELECT FROM onceward.flow f WHERE (f.name, f.key) = (s.flow_name, s.flow_key));
CREATE INDEX signal_flowless ON onceward.signal (told_at, arrived_at) WHERE flowless AND taken_by IS NULL;
COMMENT ON COLUMN onceward.signal.flowless IS 'Its flow was not there when a worker looked. A flow that is started later takes it; until then it is counted, and after a day people are told.';
COMMENT ON COLUMN onceward.signal.told_at IS 'When people were told that it waits for a flow that nobody has started.';
COMMENT ON COLUMN onceward.signal.taken_by IS 'The step that took it; purge: it was too old to be taken by any.';
COMMENT ON COLUMN onceward.incident.kind IS
  'in_doubt: a call nobody can settle by code; overdue: an answer that has not come; conflict: evidence against how a call is settled; mismatch: the provider did something else than asked; stuck_after_pivot: a flow that can neither go on nor back; undo_failed; flow_error, flow_diverged: a flow that its code cannot carry on; late_signal: a message for a flow that had ended; unmatched: evidence about no call, or a message for a flow that nobody has started; provider_stopped: our credential was refused; parked_in, parked_out: a message set aside; history_lost: the database may have lost calls.';
COMMENT ON COLUMN onceward.incident.message_id IS 'The message, if it is about one; for unmatched the evidence or the message, for history_lost the database''s new life.';
GRANT SELECT (flowless, told_at) ON onceward.signal TO onceward_console, onceward_auditor;
