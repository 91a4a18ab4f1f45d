UPDATE onceward_console.statement SET ended_at = clock_timestamp()
 WHERE id = %(id)s AND ended_at IS NULL
   AND NOT EXISTS (SELECT FROM onceward_console.statement_row r WHERE r.statement_id = %(id)s AND r.item IS NOT NULL AND r.outcome IS NULL)
