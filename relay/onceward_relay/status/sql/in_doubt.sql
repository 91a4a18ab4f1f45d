-- Calls of which nobody knows whether they took effect.
SELECT count(*) FROM (SELECT FROM onceward.call WHERE state = 'in_doubt' AND settled_at IS NULL LIMIT {limit}) doubtful
