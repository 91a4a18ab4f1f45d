-- What came after the open window with a lower id than its last: rows of transactions that took long.
SELECT count(*) FILTER (WHERE id <= {last_id}), sum(bytes) FILTER (WHERE id <= {last_id})::bigint,
       min(created_at) FILTER (WHERE id <= {last_id}), count(*) >= {limit}
  FROM (SELECT id, created_at, octet_length(payload) AS bytes FROM onceward.outbox WHERE {window} LIMIT {limit}) looked_at
