-- What `onceward status` and `onceward doctor` see with the relay's own rights: counts, and no content.

GRANT SELECT (seq, state, parked_at) ON onceward.inbox_parked TO onceward_relay;
GRANT SELECT (state, created_at, settled_at) ON onceward.call TO onceward_relay;
