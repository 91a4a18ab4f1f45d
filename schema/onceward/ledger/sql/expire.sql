-- in_flight → in_doubt: the lease is over, its worker may have died at any point.
UPDATE onceward.call SET state = 'in_doubt', ambiguous = true, epoch = epoch + 1, due_at = clock_timestamp(), version = version + 1,
       error_code = 'lease_expired', error_text = 'the worker did not come back'
 WHERE id = :id AND state = 'in_flight' AND due_at <= clock_timestamp()
