-- The notification that has been due for longest; another worker takes it over if this one does not come back.
UPDATE onceward.notification SET attempts = attempts + 1, due_at = clock_timestamp() + interval '2 min'
 WHERE id = (SELECT id FROM onceward.notification
              WHERE due_at <= statement_timestamp() AND channel = ANY(CAST(:channels AS text[]))
              ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, channel, body, attempts, created_at
