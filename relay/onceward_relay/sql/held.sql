-- What is set aside: each hold with what waits in it, and the messages without a key that Kafka refused.
SELECT h.hold_id, h.scope, h.topic, h.key, h.state, h.heals, h.reason, h.actor, h.created_at AS since, clock_timestamp() AS now,
       waiting.messages, waiting.poison, waiting.first
  FROM onceward.hold h,
       LATERAL (SELECT count(*) AS messages, count(*) FILTER (WHERE state = 'poison') AS poison, min(message_id::text) FILTER (WHERE state = 'poison') AS first
                  FROM (SELECT m.state, m.message_id FROM onceward.held_message m WHERE m.hold_id = h.hold_id AND m.state <> 'skipped' ORDER BY m.id LIMIT 100001) of_hold) waiting
 WHERE %(topic)s::text IS NULL OR h.topic = %(topic)s
UNION ALL
SELECT NULL, 'message', m.topic, NULL, 'held', false, m.error, NULL, m.held_at, clock_timestamp(), 1, 1, m.message_id::text
  FROM onceward.held_message m WHERE m.hold_id IS NULL AND m.state = 'poison' AND (%(topic)s::text IS NULL OR m.topic = %(topic)s)
 ORDER BY since LIMIT %(limit)s
