-- Least privilege. What people do goes through functions, which check who may do what and write the audit.

REVOKE ALL ON FUNCTION onceward.undo_is_within(), onceward.evidence_is_final() FROM PUBLIC;

GRANT SELECT, INSERT, UPDATE ON onceward.signal, onceward.provider, onceward.evidence TO onceward_participant;
GRANT SELECT, INSERT, UPDATE, DELETE ON onceward.worker TO onceward_participant;
GRANT SELECT, UPDATE (state, ended_at, outcome) ON onceward.resolution TO onceward_participant;

GRANT SELECT ON onceward.signal, onceward.provider, onceward.worker, onceward.evidence, onceward.resolution, onceward.approval_rule, onceward.setting
  TO onceward_console, onceward_auditor;
