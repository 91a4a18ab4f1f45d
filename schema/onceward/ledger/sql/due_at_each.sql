-- How many calls of each provider are due, counted no further than it has room for.
SELECT p.name, count(*) AS calls
  FROM unnest(CAST(:names AS text[]), CAST(:rooms AS integer[])) AS p (name, room),
       LATERAL (SELECT FROM onceward.call c
                 WHERE c.provider = p.name AND c.due_at <= statement_timestamp()
                   AND (c.provider, c.operation) IN (SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:operations AS text[])))
                 LIMIT p.room) AS due
 GROUP BY p.name
