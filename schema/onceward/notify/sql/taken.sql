UPDATE onceward.notification SET sent_at = clock_timestamp(), due_at = NULL, error = NULL WHERE id = :id AND sent_at IS NULL
