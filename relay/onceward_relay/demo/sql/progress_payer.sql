-- How many transfers are where.
SELECT count(*) FILTER (WHERE state NOT IN ('requested', 'refused')) AS held,
       count(*) FILTER (WHERE state = 'completed') AS completed,
       count(*) FILTER (WHERE state = 'refused') AS refused,
       count(*) FILTER (WHERE state = 'refunded') AS refunded
  FROM transfer
