-- What waits for a person.
SELECT count(*) FROM (SELECT FROM onceward.incident WHERE closed_at IS NULL LIMIT {limit}) open
