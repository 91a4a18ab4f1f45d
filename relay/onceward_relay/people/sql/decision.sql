-- A decision with the evidence that it rests on.
SELECT r.*, e.kind, e.says, e.reference, e.by_actor FROM onceward.resolution_shown r LEFT JOIN onceward.evidence e ON e.id = r.evidence_id WHERE r.id = %(id)s
