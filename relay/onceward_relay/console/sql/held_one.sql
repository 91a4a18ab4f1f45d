-- One outgoing message that was set aside, with its hold.
SELECT m.*, h.state AS hold_state, h.scope, clock_timestamp() AS now FROM onceward.held_message_shown m LEFT JOIN onceward.hold h ON h.hold_id = m.hold_id WHERE m.id = %(id)s
