UPDATE onceward.hold SET state = 'held', reason = %(reason)s WHERE hold_id = %(hold)s
