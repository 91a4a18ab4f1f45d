-- publish() from any language. Contract: inserts one row in the caller's transaction and returns its message id; refuses bad input with
-- SQLSTATE 22023 and a message that begins with the field's name. Runs with the caller's rights.

CREATE FUNCTION onceward.uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN pg_catalog.encode(
    -- RFC 9562, 5.7: a random UUID (version 4, 0100) with 48 bits of Unix milliseconds in front; two bits more make it version 7 (0111)
    pg_catalog.set_bit(pg_catalog.set_bit(
      pg_catalog.overlay(
        pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
        pg_catalog.substring(pg_catalog.int8send(pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint), 3),
        1, 6),
      52, 1), 53, 1),
    'hex')::uuid;
COMMENT ON FUNCTION onceward.uuid7() IS 'A new UUIDv7 (RFC 9562): time in milliseconds, then random bits.';

CREATE FUNCTION onceward.publish(
  topic text, key bytea, type text, payload bytea, headers jsonb DEFAULT '{}', message_id uuid DEFAULT NULL, unordered boolean DEFAULT false
) RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
#variable_conflict use_variable
DECLARE
  complaint text := CASE
    WHEN onceward.is_topic(topic) IS NOT TRUE THEN
      'topic: must be 1 to 249 characters of a-z, A-Z, 0-9, dot, underscore and hyphen'
    WHEN key IS NULL AND unordered IS NOT TRUE THEN
      'key: is NULL; give the key whose order is to be kept, or unordered => true'
    WHEN key IS NOT NULL AND unordered THEN
      'key: must be NULL when unordered is true'
    WHEN octet_length(key) NOT BETWEEN 1 AND 1024 THEN
      format('key: %s bytes, must be 1 to 1024', octet_length(key))
    WHEN onceward.is_message_type(type) IS NOT TRUE THEN
      'type: must be 1 to 255 printable ASCII characters without spaces'
    WHEN octet_length(payload) > 16777216 THEN
      format('payload: %s bytes, at most 16777216', octet_length(payload))
    ELSE onceward.headers_error(headers)
  END;
  id uuid := coalesce(message_id, onceward.uuid7());
BEGIN
  IF complaint IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = complaint, COLUMN = split_part(complaint, ':', 1), SCHEMA = 'onceward', TABLE = 'outbox';
  END IF;
  INSERT INTO onceward.outbox (message_id, topic, key, type, payload, headers) VALUES (id, topic, key, type, payload, headers);
  RETURN id;
END $$;
COMMENT ON FUNCTION onceward.publish(text, bytea, text, bytea, jsonb, uuid, boolean) IS
  'Writes one message to the outbox in this transaction and returns its id. payload NULL is a tombstone. key NULL is refused unless unordered => true.';
