UPDATE onceward.hold SET state = 'releasing' WHERE hold_id = ANY (%(holds)s) AND state = 'held'
