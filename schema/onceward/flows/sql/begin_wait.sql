-- A flow begins to wait, for a message or a time.
INSERT INTO onceward.flow_step (flow_id, step, seq, kind, fingerprint, until)
VALUES (:id, :step, :seq, :kind, :fingerprint, clock_timestamp() + CAST(:limit AS interval))
RETURNING until
