-- Begins a frozen list. The same button pressed twice finds it begun with the same reason.
WITH begun AS (
  UPDATE onceward_console.bulk
     SET state = 'running', reason = %(reason)s, begun_at = clock_timestamp(), due_at = clock_timestamp(), expires_at = clock_timestamp() + %(kept)s
   WHERE id = %(id)s AND person_id = %(person)s AND state = 'frozen' AND expires_at > clock_timestamp()
  RETURNING id
)
SELECT id FROM begun
UNION ALL
SELECT id FROM onceward_console.bulk WHERE id = %(id)s AND person_id = %(person)s AND state <> 'frozen' AND reason = %(reason)s
