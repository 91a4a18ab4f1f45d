-- What waits in a hold, in order, without payloads.
SELECT m.id, m.message_id, m.state, m.topic, m.key, m.type, m.bytes, m.error, m.created_at, m.held_at, clock_timestamp() AS now
  FROM onceward.held_message_shown m WHERE m.hold_id = %(hold)s ORDER BY m.id LIMIT %(limit)s
