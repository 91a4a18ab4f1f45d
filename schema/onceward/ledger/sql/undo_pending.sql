-- pending → cancelled: the flow is undone, and it was never sent. One that a worker is just about to send is left to that worker.
UPDATE onceward.call SET state = 'cancelled', due_at = NULL, error_code = 'undone', error_text = 'its flow is undone before it was sent',
       settled_at = clock_timestamp(), settled_by = 'system', version = version + 1
 WHERE id IN (SELECT id FROM onceward.call WHERE flow_id = :flow_id AND undoes IS NULL AND state = 'pending' FOR UPDATE SKIP LOCKED)
