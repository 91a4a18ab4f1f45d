-- Records a step in the transaction of its effects. The result is returned as every later run will read it.
INSERT INTO onceward.flow_step (flow_id, step, seq, kind, fingerprint, result)
VALUES (:id, :step, :seq, :kind, :fingerprint, CAST(:result AS jsonb))
RETURNING result::text
