-- What people are told before they decide: who else has to agree, and what was decided of late.

CREATE INDEX resolution_decided ON onceward.resolution (decided_at) WHERE decided_at IS NOT NULL;

GRANT EXECUTE ON FUNCTION onceward.subject_kind(text), onceward.is_solo(), onceward.person(text), onceward.approvals_by_rule(text, text, text, numeric, text),
  onceward.approvals_needed(text, uuid, numeric, text, uuid) TO onceward_console, onceward_auditor;
