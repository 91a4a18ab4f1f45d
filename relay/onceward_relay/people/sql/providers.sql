-- Providers, with their open calls and the workers that were seen in the last minute.
SELECT p.*, (SELECT array_agg(o.name ORDER BY o.name) FROM onceward.operation o WHERE o.provider = p.name) AS operations,
       coalesce(c.open, 0) AS open, coalesce(c.in_doubt, 0) AS in_doubt,
       (SELECT count(*) FROM onceward.worker w WHERE p.name = ANY(w.providers) AND w.seen_at > clock_timestamp() - interval '1 min') AS workers,
       (SELECT array_agg(w.name ORDER BY w.name) FROM onceward.worker w WHERE p.name = ANY(w.resting) AND w.seen_at > clock_timestamp() - interval '1 min') AS resting_at,
       clock_timestamp() AS now
  FROM onceward.provider p
  LEFT JOIN (SELECT provider, count(*) AS open, count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt
               FROM onceward.call WHERE settled_at IS NULL GROUP BY provider) c ON c.provider = p.name
 ORDER BY p.name
