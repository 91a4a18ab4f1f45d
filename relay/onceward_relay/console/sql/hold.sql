SELECT h.hold_id, h.scope, h.topic, h.key, h.state, h.heals, h.reason, h.actor, h.created_at, clock_timestamp() AS now FROM onceward.hold h WHERE h.hold_id = %(hold)s
