UPDATE onceward.flow SET state = 'completed', due_at = NULL, ended_at = clock_timestamp(), version = version + 1 WHERE id = %(id)s
