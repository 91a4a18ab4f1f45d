SELECT topic, key FROM onceward.hold WHERE hold_id = %s
