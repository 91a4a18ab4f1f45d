-- in_flight → in_doubt: all else.
UPDATE onceward.call SET state = 'in_doubt', ambiguous = true, due_at = clock_timestamp() + :delay, error_code = :code, error_text = :text,
       version = version + 1
 WHERE id = :id AND epoch = :epoch AND state = 'in_flight'
RETURNING due_at
