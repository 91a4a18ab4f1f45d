-- pending → cancelled: it was never sent, and the time to begin is over or its flow is undone.
UPDATE onceward.call c SET state = 'cancelled', due_at = NULL, settled_at = clock_timestamp(), settled_by = 'system', version = version + 1,
       error_code = CASE WHEN c.start_before <= clock_timestamp() THEN 'too_late' ELSE 'undone' END,
       error_text = CASE WHEN c.start_before <= clock_timestamp() THEN 'it was not sent within the time for its start'
                         ELSE 'its flow is undone before it was sent' END
 WHERE c.id = :id AND c.state = 'pending'
   AND (c.start_before <= clock_timestamp()
        OR c.undoes IS NULL AND EXISTS (SELECT FROM onceward.flow f WHERE f.id = c.flow_id AND f.undoing))
RETURNING flow_id, NULL AS pivot_step
