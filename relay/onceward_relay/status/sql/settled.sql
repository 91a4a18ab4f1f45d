-- How many rows were settled between two checkpoints without an open window.
SELECT count(*) FROM (SELECT FROM onceward.outbox WHERE {window} LIMIT {limit}) looked_at
