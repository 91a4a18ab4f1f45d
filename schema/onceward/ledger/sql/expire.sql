-- in_flight → in_doubt: the lease is over, its worker may have died at any point. If it is over for ten minutes, the clock may have jumped, and
-- the attempt be on its way: what the provider does not know of counts only when the time of an attempt that began now is over.
UPDATE onceward.call SET state = 'in_doubt', ambiguous = true,
       send_by = CASE WHEN due_at < clock_timestamp() - interval '10 min' THEN clock_timestamp() + :send_window ELSE send_by END,
       epoch = epoch + 1, due_at = clock_timestamp(), version = version + 1,
       error_code = 'lease_expired', error_text = 'the worker did not come back'
 WHERE id = :id AND state = 'in_flight' AND due_at <= clock_timestamp()
