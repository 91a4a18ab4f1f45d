-- Again later, or never: what nobody took for a day is old news.
UPDATE onceward.notification
   SET error = :error, due_at = CASE WHEN created_at > clock_timestamp() - interval '1 day' THEN clock_timestamp() + CAST(:delay AS interval) END
 WHERE id = :id AND sent_at IS NULL
RETURNING due_at
