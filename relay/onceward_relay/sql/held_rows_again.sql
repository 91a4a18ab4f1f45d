-- The messages of a page of a hold once more.
SELECT id, message_id::text, topic, key, type, payload, headers::text, pg_catalog.timestamptz_send(created_at), false
  FROM onceward.held_message
 WHERE hold_id = %(hold)s AND state <> 'skipped' AND id <= %(upto)s AND id <> ALL (%(aside)s)
 ORDER BY id
