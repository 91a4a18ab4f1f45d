UPDATE onceward_console.bulk SET due_at = clock_timestamp() + %(time)s, trouble = %(trouble)s WHERE id = %(id)s AND state = 'running'
