-- pending → in_doubt: a life of the database that is lost may have sent it. Not once the provider has said, since this life began, that it does not know it.
UPDATE onceward.call c
   SET state = 'in_doubt', ambiguous = true, first_sent_at = least(c.first_sent_at, CAST(:lost_since AS timestamptz)), scope = :scope,
       send_by = clock_timestamp() + :send_window, asked = CASE WHEN :lookup THEN 'lookup' END,
       due_at = clock_timestamp() + CASE WHEN :lookup THEN :send_window + :timeout + CAST(:settle AS interval) ELSE interval '0' END,
       error_code = 'history_lost', error_text = 'the database may have lost that it was sent already', version = version + 1
 WHERE c.id = :id AND c.state = 'pending'
   AND NOT EXISTS (SELECT FROM onceward.attempt a WHERE a.call_id = c.id AND a.kind = 'lookup' AND a.verdict = 'absent'
                      AND a.began_at > (SELECT max(h.first_seen) FROM onceward.history h))
RETURNING due_at
