-- Begins, or goes on after a stop. The first reason counts.
UPDATE onceward_console.statement SET began_at = coalesce(began_at, clock_timestamp()), stopped_at = NULL, reason = coalesce(reason, %(reason)s)
 WHERE id = %(id)s AND matched_at IS NOT NULL AND ended_at IS NULL RETURNING id
