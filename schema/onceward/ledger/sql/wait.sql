-- in_flight → pending: not sent or turned away, and no attempt before can have taken effect.
UPDATE onceward.call SET state = 'pending', due_at = least(clock_timestamp() + :delay, start_before), error_code = :code, error_text = :text, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'in_flight' AND NOT ambiguous
RETURNING due_at
