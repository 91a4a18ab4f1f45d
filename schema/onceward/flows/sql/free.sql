-- The row of a flow, unless somebody has it: then the flow is told later, and stands in no other's way.
SELECT ended_at IS NOT NULL AS ended FROM onceward.flow WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED
