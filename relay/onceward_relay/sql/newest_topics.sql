-- Topics of the newest rows: a sample, so that a large outbox is not read whole.
SELECT DISTINCT topic FROM (SELECT topic FROM onceward.outbox ORDER BY id DESC LIMIT 1000) newest ORDER BY topic
