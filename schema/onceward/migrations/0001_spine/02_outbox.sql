-- The outbox: outgoing messages, inserted in the participant's own business transaction and never updated.

CREATE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()) / 600)::bigint % 3)::smallint;
COMMENT ON FUNCTION onceward.slot() IS
  'The outbox slot of this transaction: 0, 1 or 2, changing every 600 s, so that a slot which is not current can be emptied at one stroke.';

CREATE FUNCTION onceward.headers_error(headers jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog AS $$
DECLARE
  header record;
  bytes integer := 0;
  n integer := 0;
BEGIN
  IF headers IS NULL OR jsonb_typeof(headers) <> 'object' THEN
    RETURN 'headers: must be a JSON object of strings';
  END IF;
  FOR header IN SELECT key, value FROM jsonb_each(headers) LOOP
    n := n + 1;
    bytes := bytes + octet_length(header.key) + octet_length(header.value #>> '{}');
    IF n > 100 THEN
      RETURN 'headers: more than 100 entries';
    ELSIF header.key COLLATE "C" !~ '^[!-~]+$' OR octet_length(header.key) > 255 THEN
      RETURN format('headers: name %s must be 1 to 255 printable ASCII characters without spaces', to_json(left(header.key, 80)));
    ELSIF lower(header.key COLLATE "C") IN ('ce_id', 'ce_source', 'ce_type', 'ce_specversion', 'ce_time') THEN
      RETURN format('headers: name %s is set by the relay', to_json(header.key));
    ELSIF jsonb_typeof(header.value) <> 'string' THEN
      RETURN format('headers: value of %s must be a string', to_json(header.key));
    END IF;
  END LOOP;
  IF bytes > 65536 THEN
    RETURN format('headers: %s bytes, at most 65536', bytes);
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION onceward.headers_error(jsonb) IS 'What is wrong with the headers of a message, in words; NULL if nothing is.';

CREATE FUNCTION onceward.is_topic(topic text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN topic COLLATE "C" ~ '^[a-zA-Z0-9._-]+$' AND pg_catalog.octet_length(topic) <= 249 AND topic NOT IN ('.', '..');
COMMENT ON FUNCTION onceward.is_topic(text) IS 'Whether Kafka takes this as the name of a topic.';
CREATE FUNCTION onceward.is_message_type(type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN type COLLATE "C" ~ '^[!-~]+$' AND pg_catalog.octet_length(type) <= 255;
COMMENT ON FUNCTION onceward.is_message_type(text) IS 'Whether this can be the CloudEvents type of a message: 1 to 255 printable ASCII characters without spaces.';

-- Domains and not checks of the table: PostgreSQL prepares these once a session and those in every INSERT, at the participant's cost.
-- Once a session also means that a rule is changed by another constraint, never by a new text of a function that open sessions go by.
CREATE DOMAIN onceward.topic_name AS text CONSTRAINT topic_is_legal CHECK (onceward.is_topic(VALUE));
CREATE DOMAIN onceward.message_key AS bytea CONSTRAINT key_has_1_to_1024_bytes CHECK (octet_length(VALUE) BETWEEN 1 AND 1024);
CREATE DOMAIN onceward.message_type AS text CONSTRAINT type_is_printable_ascii CHECK (onceward.is_message_type(VALUE));
CREATE DOMAIN onceward.message_payload AS bytea CONSTRAINT payload_is_at_most_16_mib CHECK (octet_length(VALUE) <= 16777216);
CREATE DOMAIN onceward.message_headers AS jsonb CONSTRAINT headers_are_legal CHECK (VALUE = '{}' OR onceward.headers_error(VALUE) IS NULL);
CREATE DOMAIN onceward.message_time AS timestamptz CONSTRAINT time_is_in_years_2000_to_9999 CHECK (VALUE BETWEEN '2000-01-01Z' AND '9999-12-31Z');
COMMENT ON DOMAIN onceward.topic_name IS 'Name of a Kafka topic.';
COMMENT ON DOMAIN onceward.message_key IS 'Kafka key.';
COMMENT ON DOMAIN onceward.message_type IS 'CloudEvents type.';
COMMENT ON DOMAIN onceward.message_payload IS 'Kafka value.';
COMMENT ON DOMAIN onceward.message_headers IS 'Kafka headers: an object of strings, see onceward.headers_error(jsonb).';
COMMENT ON DOMAIN onceward.message_time IS 'A time that Kafka and CloudEvents can tell.';

-- CACHE 1: ids must be given in the order in which rows are inserted.
CREATE SEQUENCE onceward.outbox_id_seq AS bigint CACHE 1;
COMMENT ON SEQUENCE onceward.outbox_id_seq IS 'Ids of outbox rows: the order inside one window. Never an identity: ids are used again after a failover.';

CREATE TABLE onceward.outbox (
  id bigint NOT NULL DEFAULT nextval('onceward.outbox_id_seq'),
  xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  slot smallint NOT NULL DEFAULT onceward.slot(),
  message_id uuid NOT NULL,
  topic onceward.topic_name NOT NULL,
  key onceward.message_key,
  type onceward.message_type NOT NULL,
  payload onceward.message_payload,
  headers onceward.message_headers NOT NULL DEFAULT '{}',
  created_at onceward.message_time NOT NULL DEFAULT pg_catalog.now(),
  PRIMARY KEY (id, slot)
) PARTITION BY LIST (slot);
CREATE TABLE onceward.outbox_0 PARTITION OF onceward.outbox FOR VALUES IN (0);
CREATE TABLE onceward.outbox_1 PARTITION OF onceward.outbox FOR VALUES IN (1);
CREATE TABLE onceward.outbox_2 PARTITION OF onceward.outbox FOR VALUES IN (2);
CREATE INDEX outbox_xid ON onceward.outbox (xid);

COMMENT ON TABLE onceward.outbox IS
  'Outgoing messages. Participants insert (message_id, topic, key, type, payload, headers) and nothing else, best by onceward.publish(); the relay reads. Three fixed slots, no DDL at run time.';
COMMENT ON COLUMN onceward.outbox.id IS 'Order of insertion: the order inside one window.';
COMMENT ON COLUMN onceward.outbox.xid IS 'Top-level transaction that wrote the row. The relay reads by it: a forged value would be a lost message, so participants may not set it.';
COMMENT ON COLUMN onceward.outbox.slot IS 'Partition: see onceward.slot().';
COMMENT ON COLUMN onceward.outbox.message_id IS 'UUIDv7 made by the publisher; the CloudEvents id, by which inboxes deduplicate.';
COMMENT ON COLUMN onceward.outbox.topic IS 'Kafka topic.';
COMMENT ON COLUMN onceward.outbox.key IS 'Kafka key: messages of one (topic, key) keep their order. NULL: unordered.';
COMMENT ON COLUMN onceward.outbox.type IS 'CloudEvents type of the message.';
COMMENT ON COLUMN onceward.outbox.payload IS 'Kafka value. NULL is a tombstone; an empty value is an empty value.';
COMMENT ON COLUMN onceward.outbox.headers IS 'Additional Kafka headers: an object of strings.';
COMMENT ON COLUMN onceward.outbox.created_at IS 'Start of the writing transaction; the CloudEvents time and the Kafka timestamp.';
COMMENT ON TABLE onceward.outbox_0 IS 'Slot 0 of the outbox.';
COMMENT ON TABLE onceward.outbox_1 IS 'Slot 1 of the outbox.';
COMMENT ON TABLE onceward.outbox_2 IS 'Slot 2 of the outbox.';
