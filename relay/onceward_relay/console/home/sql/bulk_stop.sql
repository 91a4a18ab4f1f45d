UPDATE onceward_console.bulk SET state = 'stopped', ended_at = clock_timestamp(), trouble = NULL
 WHERE id = %(id)s AND person_id = %(person)s AND state = 'running'
