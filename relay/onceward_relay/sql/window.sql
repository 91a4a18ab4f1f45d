-- A window that fits into one page, in id order. OFFSET 0 keeps the planner from walking the primary key to spare itself the sort.
SELECT id, message_id::text, topic, key, type, payload, headers::text, pg_catalog.timestamptz_send(created_at), false
  FROM (SELECT * FROM onceward.outbox WHERE {window} OFFSET 0) found
 ORDER BY id
