-- in_doubt → pending: an authoritative lookup that began after the provider must have known of the last attempt.
UPDATE onceward.call c SET state = 'pending', ambiguous = false, due_at = clock_timestamp(), error_code = 'absent',
       error_text = 'the lookup shows that it took no effect', version = version + 1
 WHERE c.id = :id AND c.epoch = :epoch AND c.state = 'in_doubt'
   AND (SELECT a.began_at FROM onceward.attempt a WHERE a.call_id = c.id AND a.no = :no) > c.send_by + :timeout + CAST(:settle AS interval)
RETURNING due_at
