-- The id before the first row of the window. Without OFFSET 0 min(id) walks the primary key.
SELECT min(id) - 1 FROM (SELECT id FROM onceward.outbox WHERE {window} OFFSET 0) found
