-- What waits in a hold, in order, as the rows of a page.
SELECT id, message_id::text, topic, key, type, payload, headers::text, pg_catalog.timestamptz_send(created_at), false
  FROM (SELECT *, sum(coalesce(octet_length(payload), 0)) OVER (ORDER BY id) - coalesce(octet_length(payload), 0) AS before
          FROM (SELECT * FROM onceward.held_message WHERE hold_id = %(hold)s AND state <> 'skipped' ORDER BY id LIMIT %(limit)s) next_of_hold) sized
 WHERE before < %(bytes)s
 ORDER BY id
