-- A settlement raises the number that a worker must have seen to park the flow, and wakes it if it is parked already.
UPDATE onceward.flow SET signals = signals + 1, version = version + 1,
       pivot_step = CASE WHEN undoing THEN pivot_step ELSE coalesce(pivot_step, :pivot_step) END,
       due_at = CASE WHEN state = 'waiting' THEN clock_timestamp() ELSE due_at END,
       state = CASE WHEN state = 'waiting' THEN 'running' ELSE state END
 WHERE id = :flow_id
