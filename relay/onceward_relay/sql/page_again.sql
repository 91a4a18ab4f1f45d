-- The rows of a page of an open window once more, all of them, however large.
SELECT id, message_id::text, topic, key, type, payload, headers::text, pg_catalog.timestamptz_send(created_at), false
  FROM onceward.outbox
 WHERE id > {last_id} AND id <= {upto}
   AND (xid < '{s2_xmin}' OR pg_catalog.pg_visible_in_snapshot(xid, {s2})) AND (xid >= '{s1_xmax}' OR NOT pg_catalog.pg_visible_in_snapshot(xid, {s1}))
 ORDER BY id
