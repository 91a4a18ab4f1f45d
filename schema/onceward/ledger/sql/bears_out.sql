-- The evidence of a decision, if it is about the call and says that it took effect.
SELECT e.id FROM onceward.evidence e WHERE e.id = :evidence_id AND e.call_id = :call_id AND e.says = 'applied'
