-- Those about the flow, and those of these kinds about its calls.
UPDATE onceward.incident SET closed_at = clock_timestamp(), closed_by = :by
 WHERE flow_id = :flow_id AND closed_at IS NULL AND (call_id IS NULL AND :all OR kind = ANY(:kinds))
