UPDATE onceward.flow SET epoch = epoch + 1, worker = 'raw', due_at = clock_timestamp() + interval '30 s', version = version + 1
 WHERE id = (SELECT id FROM onceward.flow WHERE due_at <= statement_timestamp() AND name = %(name)s ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
