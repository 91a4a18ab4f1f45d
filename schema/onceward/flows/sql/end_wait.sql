-- A wait ends, with a message or, as JSON's null, without one.
INSERT INTO onceward.flow_step (flow_id, step, seq, kind, fingerprint, result)
VALUES (:id, :step, :seq, :kind, :fingerprint, CAST(:result AS jsonb))
ON CONFLICT (flow_id, step) DO UPDATE SET result = excluded.result, at = excluded.at WHERE flow_step.result IS NULL
RETURNING result::text
