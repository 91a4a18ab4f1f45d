-- What is held, and the messages that were set aside and not given up.
SELECT (SELECT count(*) FROM (SELECT FROM onceward.hold WHERE scope = 'key' LIMIT {limit}) k),
       (SELECT count(*) FROM (SELECT FROM onceward.hold WHERE scope = 'topic' LIMIT {limit}) t),
       (SELECT count(*) FILTER (WHERE state <> 'skipped') FROM (SELECT state FROM onceward.held_message ORDER BY id LIMIT {limit}) m)
