SELECT * FROM onceward_console.statement WHERE id = %(id)s AND person_id = %(person)s AND expires_at > clock_timestamp()
