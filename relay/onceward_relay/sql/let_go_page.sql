-- A page of a hold is committed in Kafka: it waits no more, and what people were told of it is over.
WITH sent AS (
  DELETE FROM onceward.held_message WHERE hold_id = %(hold)s AND state <> 'skipped' AND id <= %(upto)s AND id <> ALL (%(aside)s) RETURNING message_id
), closed AS (
  UPDATE onceward.incident SET closed_at = clock_timestamp(), closed_by = %(relay)s
   WHERE kind = 'parked_out' AND coalesce(call_id, flow_id, message_id) IN (SELECT message_id FROM sent) AND closed_at IS NULL
)
SELECT count(*) FROM sent
