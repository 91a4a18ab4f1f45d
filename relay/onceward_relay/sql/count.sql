-- How much is in the window, looking at no more than one row over a page.
SELECT count(*), coalesce(sum(bytes), 0)::bigint
  FROM (SELECT octet_length(payload) AS bytes FROM onceward.outbox WHERE {window} LIMIT {limit}) counted
