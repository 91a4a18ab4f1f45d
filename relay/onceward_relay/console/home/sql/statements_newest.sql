-- What a person uploaded.
SELECT id, participant, provider, name, created_at, expires_at, matched_at, began_at, ended_at, stopped_at
  FROM onceward_console.statement WHERE person_id = %(person)s AND expires_at > clock_timestamp() ORDER BY created_at DESC LIMIT 20
