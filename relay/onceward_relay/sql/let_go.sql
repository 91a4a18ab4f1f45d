-- What Kafka has acknowledged waits no more, and what people were told of it is over.
WITH sent AS (
  DELETE FROM onceward.held_message WHERE hold_id = %(hold)s AND id = ANY (%(ids)s) RETURNING message_id
)
UPDATE onceward.incident SET closed_at = clock_timestamp(), closed_by = %(relay)s
 WHERE kind = 'parked_out' AND coalesce(call_id, flow_id, message_id) IN (SELECT message_id FROM sent) AND closed_at IS NULL
