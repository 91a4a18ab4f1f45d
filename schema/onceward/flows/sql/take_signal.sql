-- The oldest message of the type that no step has taken. The flow's row is locked, so no other step is at it.
UPDATE onceward.signal SET taken_by = :step, taken_at = clock_timestamp()
 WHERE (flow_name, flow_key, type, message_id) = (
         SELECT flow_name, flow_key, type, message_id FROM onceward.signal
          WHERE flow_name = :name AND flow_key = :key AND type = :type AND taken_by IS NULL
          ORDER BY arrived_at, message_id LIMIT 1)
RETURNING convert_from(body, 'UTF8') AS body, message_id, told_at
