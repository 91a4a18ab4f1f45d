-- What is in a window, looking at no more than so many rows.
SELECT count(*), sum(bytes)::bigint, min(created_at), count(*) >= {limit}
  FROM (SELECT created_at, octet_length(payload) AS bytes FROM onceward.outbox WHERE {window} LIMIT {limit}) looked_at
