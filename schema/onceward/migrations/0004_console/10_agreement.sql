-- What people are told before they decide: who else has to agree, and what was decided of late.

CREATE INDEX resolution_decided ON onceward.resolution (decided_at) WHERE decided_at IS NOT NULL;
CREATE INDEX resolution_open ON onceward.resolution (proposed_at, id) WHERE state IN ('proposed', 'approved') AND batch_id IS NULL;

GRANT EXECUTE ON FUNCTION onceward.subject_kind(text), onceward.is_solo(), onceward.person(text), onceward.approvals_by_rule(text, text, text, numeric, text),
  onceward.approvals_needed(text, uuid, numeric, text, uuid) TO onceward_console, onceward_auditor;

-- Whoever plans each of its own statements anew, as screens do, need not plan these functions' text for every call of a long list.
ALTER FUNCTION onceward.verbs_of_call(uuid) SET plan_cache_mode = auto;
ALTER FUNCTION onceward.verbs_of_flow(uuid) SET plan_cache_mode = auto;
