-- Least privilege, nothing to PUBLIC. A participant may insert the six columns of a message and no other: a forged xid would be a lost message.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onceward FROM PUBLIC;

GRANT SELECT ON onceward.schema_version TO onceward_participant, onceward_relay, onceward_console, onceward_auditor;

GRANT USAGE ON SCHEMA onceward TO onceward_participant, onceward_relay, onceward_console, onceward_auditor;

GRANT EXECUTE ON FUNCTION onceward.slot(), onceward.uuid7(), onceward.is_topic(text), onceward.is_message_type(text), onceward.headers_error(jsonb), onceward.lent_transaction(),
  onceward.publish(text, bytea, text, bytea, jsonb, uuid, boolean) TO onceward_participant;
GRANT USAGE ON SEQUENCE onceward.outbox_id_seq TO onceward_participant;
GRANT INSERT (message_id, topic, key, type, payload, headers) ON onceward.outbox TO onceward_participant;
GRANT SELECT, INSERT, UPDATE ON onceward.inbox, onceward.operation, onceward.flow, onceward.flow_step, onceward.call, onceward.attempt,
  onceward.incident TO onceward_participant;
GRANT SELECT, INSERT, UPDATE, DELETE ON onceward.inbox_parked, onceward.inbox_hold TO onceward_participant;

GRANT SELECT ON onceward.outbox TO onceward_relay;
GRANT SELECT, INSERT ON onceward.ownership TO onceward_relay;
GRANT SELECT, INSERT, DELETE ON onceward.checkpoint TO onceward_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON onceward.hold, onceward.held_message TO onceward_relay;
GRANT SELECT, INSERT, UPDATE ON onceward.incident TO onceward_relay;

GRANT SELECT ON onceward.ownership, onceward.checkpoint, onceward.hold, onceward.held_message, onceward.inbox, onceward.inbox_parked,
  onceward.inbox_hold, onceward.operation, onceward.flow, onceward.flow_step, onceward.call, onceward.attempt, onceward.incident
  TO onceward_console, onceward_auditor;
