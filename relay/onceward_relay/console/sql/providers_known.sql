-- What a rule can be about.
SELECT o.provider, array_agg(o.name ORDER BY o.name) AS operations FROM onceward.operation o GROUP BY o.provider ORDER BY o.provider
