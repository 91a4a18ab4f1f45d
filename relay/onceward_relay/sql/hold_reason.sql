-- Why it will be held again, once what goes before that is committed.
UPDATE onceward.hold SET reason = %(reason)s WHERE hold_id = %(hold)s
