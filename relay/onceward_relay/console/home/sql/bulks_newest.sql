SELECT id, kind, verb, about, state, frozen_at, begun_at, ended_at FROM onceward_console.bulk
 WHERE person_id = %(person)s AND expires_at > clock_timestamp() ORDER BY frozen_at DESC LIMIT 20
