-- The inbox: which messages a consumer has already taken, and those it had to set aside.

CREATE TABLE onceward.inbox (
  consumer text NOT NULL,
  message_id uuid NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  state text NOT NULL DEFAULT 'done' CHECK (state IN ('done', 'parked', 'held', 'skipped')),
  received_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (consumer, message_id)
);
COMMENT ON TABLE onceward.inbox IS 'Messages taken, one row for each consumer and message, written in the transaction of the handler: the memory of the idempotent consumer.';
COMMENT ON COLUMN onceward.inbox.consumer IS 'Consumer group of the participant.';
COMMENT ON COLUMN onceward.inbox.message_id IS 'The CloudEvents id if it is a UUID, else the UUIDv5 of its source and id.';
COMMENT ON COLUMN onceward.inbox.digest IS 'SHA-256 of topic, key, type and payload. The same id with another digest is an alarm, never a second effect.';
COMMENT ON COLUMN onceward.inbox.state IS 'done: handled; parked: failed; held: waits behind a parked message of its key; skipped: a person decided.';
COMMENT ON COLUMN onceward.inbox.received_at IS 'When it was taken.';

CREATE TABLE onceward.inbox_parked (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  message_id uuid,
  topic text NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  key bytea,
  key_hash bytea GENERATED ALWAYS AS (pg_catalog.sha256(key)) STORED,
  payload bytea,
  headers jsonb NOT NULL,
  record_time timestamptz,
  record_hash bytea NOT NULL CHECK (octet_length(record_hash) = 32),
  state text NOT NULL CHECK (state IN ('parked', 'held')),
  error text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_try timestamptz,
  parked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  UNIQUE (consumer, topic, partition, "offset", record_hash),
  CONSTRAINT only_readable_messages_are_tried_again CHECK (next_try IS NULL OR message_id IS NOT NULL)
);
CREATE INDEX inbox_parked_key ON onceward.inbox_parked (consumer, topic, key_hash, seq);
CREATE INDEX inbox_parked_next_try ON onceward.inbox_parked (consumer, next_try) WHERE next_try IS NOT NULL;
COMMENT ON TABLE onceward.inbox_parked IS 'Full copies of Kafka records that were set aside, in order of arrival: dead letters, and the messages of their keys behind them.';
COMMENT ON COLUMN onceward.inbox_parked.seq IS 'Order of arrival.';
COMMENT ON COLUMN onceward.inbox_parked.consumer IS 'Consumer group.';
COMMENT ON COLUMN onceward.inbox_parked.message_id IS 'Its inbox id; NULL where the record has none that can be read.';
COMMENT ON COLUMN onceward.inbox_parked.topic IS 'Kafka topic.';
COMMENT ON COLUMN onceward.inbox_parked.partition IS 'Kafka partition.';
COMMENT ON COLUMN onceward.inbox_parked."offset" IS 'Kafka offset.';
COMMENT ON COLUMN onceward.inbox_parked.key IS 'Kafka key.';
COMMENT ON COLUMN onceward.inbox_parked.key_hash IS 'SHA-256 of the key: a Kafka key may be longer than an index entry.';
COMMENT ON COLUMN onceward.inbox_parked.payload IS 'Kafka value.';
COMMENT ON COLUMN onceward.inbox_parked.headers IS 'Kafka headers in order: an array of [name, value in base64 or null].';
COMMENT ON COLUMN onceward.inbox_parked.record_time IS 'Kafka timestamp.';
COMMENT ON COLUMN onceward.inbox_parked.record_hash IS 'SHA-256 of the record: a topic that was made anew has other records at the same offsets.';
COMMENT ON COLUMN onceward.inbox_parked.state IS 'parked: failed itself; held: waits behind a parked message of its key.';
COMMENT ON COLUMN onceward.inbox_parked.error IS 'What went wrong, in words.';
COMMENT ON COLUMN onceward.inbox_parked.attempts IS 'How often its handler has failed.';
COMMENT ON COLUMN onceward.inbox_parked.next_try IS 'When it is tried again by itself. NULL: only after a person''s decision, or when those before it are done.';
COMMENT ON COLUMN onceward.inbox_parked.parked_at IS 'When it was set aside.';

CREATE TABLE onceward.inbox_hold (
  consumer text NOT NULL,
  topic text NOT NULL,
  key bytea NOT NULL,
  key_hash bytea GENERATED ALWAYS AS (pg_catalog.sha256(key)) STORED,
  held_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (consumer, topic, key_hash)
);
COMMENT ON TABLE onceward.inbox_hold IS 'Keys whose messages wait because one before them is parked. Other keys flow.';
COMMENT ON COLUMN onceward.inbox_hold.consumer IS 'Consumer group.';
COMMENT ON COLUMN onceward.inbox_hold.topic IS 'Kafka topic.';
COMMENT ON COLUMN onceward.inbox_hold.key IS 'Kafka key.';
COMMENT ON COLUMN onceward.inbox_hold.key_hash IS 'SHA-256 of the key.';
COMMENT ON COLUMN onceward.inbox_hold.held_since IS 'When it began.';

CREATE FUNCTION onceward.lent_transaction() RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'OW002', MESSAGE = 'this transaction is lent: the function that works in it may neither commit nor roll it back',
    HINT = 'Use a savepoint (session.begin_nested()) for what may fail.';
END $$;
COMMENT ON FUNCTION onceward.lent_transaction() IS
  'Raises OW002. A cursor WITH HOLD over it makes every COMMIT fail until the cursor is closed, so that only the transaction''s owner can commit.';
