-- in_doubt, accepted: claimed for a lookup; the new epoch keeps the answer of an older one from counting.
-- Its version stays: nothing has changed by which a person decides.
-- What is overdue by ten minutes was left alone, or the clock has jumped and the provider may still be at it: then absence counts later.
UPDATE onceward.call SET send_by = CASE WHEN due_at < clock_timestamp() - interval '10 min' THEN clock_timestamp() + :send_window ELSE send_by END,
       attempts = attempts + 1, epoch = epoch + 1, worker = :worker, asked = NULL, due_at = clock_timestamp() + :lease
 WHERE id = :id AND state IN ('in_doubt', 'accepted') AND due_at <= clock_timestamp()
   AND NOT EXISTS (SELECT FROM onceward.provider p WHERE p.name = provider AND p.stopped_at IS NOT NULL)
RETURNING id, attempts, epoch, request, trace, 'lookup' AS kind
