-- What the relay keeps in its source: who owns it, how far it has got, and what it had to set aside.

CREATE TABLE onceward.ownership (
  epoch bigint PRIMARY KEY,
  relay text NOT NULL,
  acquired_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE onceward.ownership IS 'One row for each time a relay took this source over. Insert-only; the newest epoch is the owner''s.';
COMMENT ON COLUMN onceward.ownership.epoch IS 'Fencing number: greater than every one before.';
COMMENT ON COLUMN onceward.ownership.relay IS 'Instance name of the relay.';
COMMENT ON COLUMN onceward.ownership.acquired_at IS 'When it took over.';

CREATE TABLE onceward.checkpoint (
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  s1 pg_snapshot NOT NULL,
  s2 pg_snapshot,
  last_id bigint,
  xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  timeline text,
  system_id bigint,
  written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (epoch, seq),
  CONSTRAINT an_open_window_has_a_last_id CHECK ((s2 IS NULL) = (last_id IS NULL))
);
COMMENT ON TABLE onceward.checkpoint IS
  'How far the relay has got. Insert-only, pruned behind the newest rows. All that is visible in s1 is settled: acknowledged by Kafka or copied to held_message.';
COMMENT ON COLUMN onceward.checkpoint.epoch IS 'Epoch of the owner that wrote it.';
COMMENT ON COLUMN onceward.checkpoint.seq IS 'Number within the epoch; 0 repeats the position that was taken over: the fence.';
COMMENT ON COLUMN onceward.checkpoint.s1 IS 'Everything visible in this snapshot is settled.';
COMMENT ON COLUMN onceward.checkpoint.s2 IS 'Open window: rows visible in s2 and not in s1. Frozen until the window is settled.';
COMMENT ON COLUMN onceward.checkpoint.last_id IS 'Open window: its rows up to this id are settled.';
COMMENT ON COLUMN onceward.checkpoint.xid IS 'Transaction that wrote the row. Differs from the system column xmin in a restored dump, where snapshots mean nothing.';
COMMENT ON COLUMN onceward.checkpoint.timeline IS 'WAL timeline of the server, for reports.';
COMMENT ON COLUMN onceward.checkpoint.system_id IS 'System identifier of the server, for reports.';
COMMENT ON COLUMN onceward.checkpoint.written_at IS 'When it was written.';

CREATE TABLE onceward.hold (
  hold_id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  scope text NOT NULL CHECK (scope IN ('key', 'topic')),
  topic text NOT NULL,
  key bytea,
  state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'releasing')),
  reason text NOT NULL,
  actor text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT a_key_hold_names_its_key CHECK ((scope = 'key') = (key IS NOT NULL))
);
CREATE UNIQUE INDEX hold_key ON onceward.hold (topic, key) WHERE scope = 'key';
CREATE UNIQUE INDEX hold_topic ON onceward.hold (topic) WHERE scope = 'topic';
COMMENT ON TABLE onceward.hold IS 'A key or a topic that must wait because one of its messages cannot be sent. Nothing behind a hold is ever sent before it.';
COMMENT ON COLUMN onceward.hold.hold_id IS 'Identity of the hold.';
COMMENT ON COLUMN onceward.hold.scope IS 'key: one key of the topic; topic: all of it.';
COMMENT ON COLUMN onceward.hold.topic IS 'Kafka topic.';
COMMENT ON COLUMN onceward.hold.key IS 'Kafka key, for scope key.';
COMMENT ON COLUMN onceward.hold.state IS 'held, or releasing: its messages are being sent, in order.';
COMMENT ON COLUMN onceward.hold.reason IS 'Why, in words.';
COMMENT ON COLUMN onceward.hold.actor IS 'Who set it: the relay''s instance name or a person.';
COMMENT ON COLUMN onceward.hold.created_at IS 'When it began.';

CREATE TABLE onceward.held_message (
  id bigint PRIMARY KEY,
  hold_id uuid REFERENCES onceward.hold,
  state text NOT NULL CHECK (state IN ('poison', 'behind', 'skipped')),
  error text,
  message_id uuid NOT NULL,
  topic text NOT NULL,
  key bytea,
  type text NOT NULL,
  payload bytea,
  headers jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  held_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT only_unordered_messages_have_no_hold CHECK (hold_id IS NOT NULL OR key IS NULL),
  CONSTRAINT poison_says_why CHECK (state <> 'poison' OR error IS NOT NULL)
);
CREATE INDEX held_message_hold ON onceward.held_message (hold_id, id);
COMMENT ON TABLE onceward.held_message IS 'Full copies of outbox rows that were set aside, in order.';
COMMENT ON COLUMN onceward.held_message.id IS 'outbox.id.';
COMMENT ON COLUMN onceward.held_message.hold_id IS 'The hold it waits in. NULL for an unordered message, which holds nobody.';
COMMENT ON COLUMN onceward.held_message.state IS 'poison: Kafka refused it; behind: waits in line; skipped: a person decided that it is not to be sent.';
COMMENT ON COLUMN onceward.held_message.error IS 'What Kafka or the relay said of it.';
COMMENT ON COLUMN onceward.held_message.message_id IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.topic IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.key IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.type IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.payload IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.headers IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.created_at IS 'As in the outbox.';
COMMENT ON COLUMN onceward.held_message.held_at IS 'When it was set aside.';
