-- pending → pending, looked at again in a minute, or when a person confirms that nothing was lost: a life of the database that is lost may have sent it.
UPDATE onceward.call SET due_at = least(clock_timestamp() + interval '1 min', start_before), error_code = 'history_lost',
       error_text = 'the database may have lost that it was sent already; held until `onceward recover` confirms it'
 WHERE id = :id AND state = 'pending' AND (start_before IS NULL OR start_before > clock_timestamp())
RETURNING id
