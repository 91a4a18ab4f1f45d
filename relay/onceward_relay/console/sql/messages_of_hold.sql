-- What waits in a hold, in its order, page after page.
SELECT m.id, m.message_id, m.state, m.key, m.type, m.bytes, m.error, m.created_at, m.held_at
  FROM onceward.held_message_shown m WHERE m.hold_id = %(hold)s AND (%(after)s::bigint IS NULL OR m.id > %(after)s) ORDER BY m.id LIMIT %(limit)s
