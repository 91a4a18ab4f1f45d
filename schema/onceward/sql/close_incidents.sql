UPDATE onceward.incident SET closed_at = clock_timestamp(), closed_by = :by
 WHERE coalesce(call_id, flow_id, message_id) = :subject AND kind = ANY(:kinds) AND closed_at IS NULL
