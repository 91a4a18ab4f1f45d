UPDATE onceward_console.statement SET stopped_at = clock_timestamp()
 WHERE id = %(id)s AND began_at IS NOT NULL AND ended_at IS NULL AND stopped_at IS NULL
