-- A small window whole, in id order, and whether all of it is durable. What is too large for that is marked; then, or if there are more rows, it is not small.
SELECT id, message_id::text, topic, key, type, CASE WHEN octet_length(payload) <= {largest} THEN payload END, headers::text,
       pg_catalog.timestamptz_send(created_at), octet_length(payload) > {largest}, (SELECT pg_catalog.pg_current_wal_flush_lsn() >= {written})
  FROM (SELECT * FROM onceward.outbox WHERE {window} LIMIT {limit}) found
 ORDER BY id
