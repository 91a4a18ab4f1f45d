-- A hold of which a message of the page was refused again.
UPDATE onceward.hold h SET state = 'held'
 WHERE h.hold_id = %(hold)s AND EXISTS (SELECT FROM onceward.held_message m WHERE m.hold_id = h.hold_id AND m.id = ANY (%(aside)s))
RETURNING reason
