-- pending → in_flight: no attempt before took effect, and it is not too late to begin.
-- in_doubt → in_flight: in the same scope, with the same key while the provider remembers it, or what may always be repeated.
UPDATE onceward.call SET state = 'in_flight', epoch = epoch + 1, attempts = attempts + 1, worker = :worker, scope = :scope, asked = NULL,
       due_at = clock_timestamp() + :lease, send_by = clock_timestamp() + :send_window,
       first_sent_at = coalesce(first_sent_at, clock_timestamp()), version = version + 1
 WHERE id = :id AND due_at <= clock_timestamp()
   AND NOT EXISTS (SELECT FROM onceward.provider p WHERE p.name = provider AND p.stopped_at IS NOT NULL)
   AND (state = 'pending' AND (start_before IS NULL OR start_before > clock_timestamp())
        OR state = 'in_doubt' AND scope = :scope
           AND (:always OR clock_timestamp() + :timeout + interval '60 s' < first_sent_at + CAST(:key_lifetime AS interval)))
RETURNING id, attempts, epoch, request, trace, 'send' AS kind
