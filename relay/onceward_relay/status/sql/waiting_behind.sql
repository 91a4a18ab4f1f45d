-- What waits while a window is open: all that is not settled behind its last id, looking at no more than so many rows.
SELECT count(*) FILTER (WHERE waits), sum(bytes) FILTER (WHERE waits)::bigint, min(created_at) FILTER (WHERE waits), count(*) >= {limit}
  FROM (SELECT created_at, octet_length(payload) AS bytes, NOT pg_catalog.pg_visible_in_snapshot(xid, {s1}) AS waits
          FROM onceward.outbox WHERE id > {last_id} ORDER BY id LIMIT {limit}) looked_at
