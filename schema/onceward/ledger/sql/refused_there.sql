-- in_doubt, accepted → failed: a lookup in the scope of the last attempt, begun after the provider must have known of that, finds it refused.
UPDATE onceward.call c SET state = 'failed', due_at = NULL, error_code = :code, error_text = :text,
       settled_at = clock_timestamp(), settled_by = 'lookup', version = version + 1
 WHERE c.id = :id AND c.epoch = :epoch AND c.state IN ('in_doubt', 'accepted')
   AND EXISTS (SELECT FROM onceward.attempt a WHERE a.call_id = c.id AND a.no = :no AND a.kind = 'lookup' AND a.scope = c.scope
                  AND a.began_at > c.send_by + :timeout + CAST(:settle AS interval))
RETURNING flow_id, NULL AS pivot_step
