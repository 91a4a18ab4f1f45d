UPDATE onceward.inbox_parked
   SET state = 'parked', error = :error, attempts = attempts + 1,
       next_try = clock_timestamp() + make_interval(secs => :retry_seconds)
 WHERE seq = :seq AND attempts = :attempts
RETURNING seq
