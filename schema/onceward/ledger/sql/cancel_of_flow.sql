-- pending → cancelled: its flow is closed. One that a worker is just about to send is left to that worker.
UPDATE onceward.call SET state = 'cancelled', due_at = NULL, error_code = 'closed', error_text = 'its flow was closed before it was sent',
       settled_at = clock_timestamp(), settled_by = 'system', version = version + 1
 WHERE id IN (SELECT id FROM onceward.call WHERE flow_id = :flow_id AND state = 'pending' FOR UPDATE SKIP LOCKED)
