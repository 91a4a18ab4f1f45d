-- What Kafka refused: keys and topics that are held, and messages without a key, the oldest first. Counting ends after a thousand messages of each.
SELECT * FROM (
  SELECT h.hold_id, h.scope, h.topic, h.key, h.state, h.heals, h.reason, h.created_at AS since, NULL::bigint AS message,
         (SELECT count(*) FROM (SELECT FROM onceward.held_message m WHERE m.hold_id = h.hold_id AND m.state <> 'skipped' ORDER BY m.id LIMIT 1001) l) AS waiting
    FROM (SELECT * FROM onceward.hold h
           WHERE (%(topic)s::text IS NULL OR h.topic = %(topic)s)
             AND (%(message)s::uuid IS NULL OR h.hold_id IN (SELECT m.hold_id FROM onceward.held_message m WHERE m.message_id = %(message)s))
           ORDER BY h.created_at, h.hold_id LIMIT %(limit)s) h
  UNION ALL
  (SELECT NULL, 'message', m.topic, NULL, m.state, false, m.error, m.held_at, m.id, 1
     FROM onceward.held_message m
    WHERE m.hold_id IS NULL AND m.state = 'poison' AND (%(topic)s::text IS NULL OR m.topic = %(topic)s) AND (%(message)s::uuid IS NULL OR m.message_id = %(message)s)
    ORDER BY m.id LIMIT %(limit)s)) set_aside
 ORDER BY since, message LIMIT %(limit)s
