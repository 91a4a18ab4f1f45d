-- What goes to each topic: a sample of the newest rows, and all that were set aside (the newest of them).
SELECT topic, max(bytes)::bigint, bool_or(keyless)
  FROM (SELECT topic, octet_length(coalesce(payload, '')) + octet_length(coalesce(key, '')) + octet_length(headers::text) + 200 AS bytes, key IS NULL AS keyless
          FROM (SELECT * FROM onceward.outbox ORDER BY id DESC LIMIT 10000) newest
        UNION ALL
        SELECT topic, octet_length(coalesce(payload, '')) + octet_length(coalesce(key, '')) + octet_length(headers::text) + 200, key IS NULL
          FROM (SELECT * FROM onceward.held_message ORDER BY id DESC LIMIT 1000) held) rows
 GROUP BY topic ORDER BY topic
