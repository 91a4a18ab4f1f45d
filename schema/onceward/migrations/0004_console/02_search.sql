-- What a search finds by an index, whatever it is given: a reference, a key, the id of anything. Only what is rare or written once gets another index.

CREATE INDEX flow_by_message ON onceward.flow (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX inbox_parked_by_message ON onceward.inbox_parked (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX inbox_parked_by_key ON onceward.inbox_parked (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX inbox_parked_failed ON onceward.inbox_parked (seq) WHERE state = 'parked';
CREATE INDEX held_message_by_key ON onceward.held_message (key) WHERE key IS NOT NULL;
CREATE INDEX audit_by_actor ON onceward.audit (actor, no);
CREATE INDEX audit_by_action ON onceward.audit (action, no);
CREATE INDEX audit_by_subject ON onceward.audit (subject, no);
-- Money in doubt without a look at the calls themselves.
CREATE INDEX call_doubt ON onceward.call (provider, currency, amount, first_sent_at) WHERE state = 'in_doubt';

GRANT EXECUTE ON FUNCTION onceward.person(text) TO onceward_console, onceward_auditor;  -- by which lists compare names, as decisions do
