-- in_doubt → pending: an authoritative lookup in the scope of the last attempt, begun after the provider must have known of that.
UPDATE onceward.call c SET state = 'pending', ambiguous = false, due_at = clock_timestamp(), error_code = 'absent',
       error_text = 'the lookup shows that it took no effect', version = version + 1
 WHERE c.id = :id AND c.epoch = :epoch AND c.state = 'in_doubt'
   AND EXISTS (SELECT FROM onceward.attempt a WHERE a.call_id = c.id AND a.no = :no AND a.kind = 'lookup' AND a.scope = c.scope
                  AND a.began_at > c.send_by + :timeout + CAST(:settle AS interval))
RETURNING due_at
