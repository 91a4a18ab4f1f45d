-- Least privilege. What people do goes through functions, which check who may do what and write the audit.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onceward FROM PUBLIC;

GRANT SELECT, INSERT, UPDATE ON onceward.signal, onceward.provider, onceward.evidence TO onceward_participant;
GRANT SELECT, INSERT, UPDATE, DELETE ON onceward.worker TO onceward_participant;
GRANT SELECT ON onceward.resolution TO onceward_participant;
GRANT EXECUTE ON FUNCTION onceward.durable() TO onceward_participant;

GRANT SELECT ON onceward.provider, onceward.worker, onceward.approval_rule, onceward.setting TO onceward_console, onceward_auditor;

-- Contents are seen through the views, which mask them, and through onceward.reveal(), which records who asked.
REVOKE SELECT ON onceward.call, onceward.attempt, onceward.flow, onceward.flow_step FROM onceward_console, onceward_auditor;
GRANT SELECT ON onceward.call_shown TO onceward_participant, onceward_console, onceward_auditor;
GRANT SELECT ON onceward.resolution_shown, onceward.flow_step_shown TO onceward_console, onceward_auditor;
GRANT SELECT (id, flow_id, step, take, seq, provider, operation, key, fingerprint, ref, amount, currency, pivot, state, ambiguous, due_at, epoch, worker, attempts, first_sent_at,
    send_by, start_before, expect_by, scope, provider_ref, undoes, error_code, error_text, asked, difference, difference_accepted_at, conflict_at, settled_at, settled_by,
    resolution_id, purged_at, version, created_at, trace) ON onceward.call TO onceward_console, onceward_auditor;
GRANT SELECT (call_id, no, kind, epoch, worker, scope, began_at, send_by, ended_at, late, http_status, verdict, detail, answer_sha256)
  ON onceward.attempt TO onceward_console, onceward_auditor;
GRANT SELECT (id, name, key, message_id, state, undoing, undo_reason, pivot_step, paused_at, due_at, signals, epoch, worker, failures, error, code_version, resolution_id,
    purged_at, version, created_at, ended_at, trace) ON onceward.flow TO onceward_console, onceward_auditor;
GRANT SELECT (flow_id, step, seq, kind, fingerprint, until, at) ON onceward.flow_step TO onceward_console, onceward_auditor;
GRANT SELECT (flow_name, flow_key, type, message_id, topic, arrived_at, noticed, taken_by, taken_at) ON onceward.signal TO onceward_console, onceward_auditor;
GRANT SELECT (id, call_id, provider, key, reference, kind, says, body_sha256, by_actor, at, due_at, handled_at, purged_at) ON onceward.evidence TO onceward_console, onceward_auditor;
GRANT SELECT (id, call_id, flow_id, verb, seen_version, amount, currency, reason, evidence_id, batch_id, approvals, solo, state, proposed_by, proposed_role, proposed_at,
    decided_by, decided_at, decision_note, not_before, ended_at, outcome) ON onceward.resolution TO onceward_console, onceward_auditor;

GRANT EXECUTE ON FUNCTION onceward.masked(jsonb, text[]), onceward.masked(bytea, text[]) TO onceward_participant, onceward_console, onceward_auditor;
GRANT EXECUTE ON FUNCTION onceward.verbs_of_call(uuid), onceward.verbs_of_flow(uuid), onceward.denied(text, text, text, text, text, text)
  TO onceward_console, onceward_auditor;
GRANT EXECUTE ON FUNCTION onceward.audit_head() TO onceward_relay, onceward_console, onceward_auditor;
GRANT EXECUTE ON FUNCTION
  onceward.propose(uuid, text, uuid, bigint, text, text, jsonb, numeric, text, uuid, uuid), onceward.approve(uuid, text, text), onceward.reject(uuid, text, text),
  onceward.withdraw(uuid, text, text), onceward.add_evidence(uuid, uuid, text, text, text, bytea, text), onceward.ask(uuid, text, text, text),
  onceward.resume(uuid, text, text), onceward.pause(uuid, text, text), onceward.claim(uuid, text), onceward.unclaim(uuid, text),
  onceward.snooze(uuid, timestamptz, text, text), onceward.note(text, text, text, text), onceward.stop_provider(text, text, text),
  onceward.start_provider(text, text, text), onceward.set_rule(text, text, text, text, numeric, integer, text, text),
  onceward.drop_rule(text, text, text, text, numeric, text, text), onceward.set_solo(boolean, text, text), onceward.reveal(uuid, text, text),
  onceward.purge_personal_data(timestamptz, text, text, integer)
  TO onceward_console;
