DELETE FROM onceward.hold WHERE hold_id = %(hold)s
