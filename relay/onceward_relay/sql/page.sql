-- A page of an open window, by the primary key. A payload too large for a page of so many rows is left where it is and marked.
-- The comparisons decide about nearly all rows, at a tenth of the cost of a look into a snapshot.
SELECT id, message_id::text, topic, key, type, CASE WHEN octet_length(payload) <= {largest} THEN payload END, headers::text,
       pg_catalog.timestamptz_send(created_at), octet_length(payload) > {largest}
  FROM onceward.outbox
 WHERE id > {last_id}
   AND (xid < '{s2_xmin}' OR pg_catalog.pg_visible_in_snapshot(xid, {s2})) AND (xid >= '{s1_xmax}' OR NOT pg_catalog.pg_visible_in_snapshot(xid, {s1}))
 ORDER BY id LIMIT {limit}
