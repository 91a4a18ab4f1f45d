INSERT INTO onceward.hold (hold_id, scope, topic, key, reason, actor, heals)
VALUES (%(hold_id)s, %(scope)s, %(topic)s, %(key)s, %(reason)s, %(actor)s, %(heals)s)
