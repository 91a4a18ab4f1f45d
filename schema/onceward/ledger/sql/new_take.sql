-- failed → a new row for the same step, under a key of its own. The flow's row is locked, so that it goes on nowhere else meanwhile.
INSERT INTO onceward.call (id, key, flow_id, step, take, seq, pivot, undoes, provider, operation, request, fingerprint, ref, amount, currency,
  state, due_at, resolution_id, trace)
SELECT :new_id, :key, c.flow_id, c.step, c.take + 1, c.seq, c.pivot, c.undoes, c.provider, c.operation, c.request, c.fingerprint, c.ref, c.amount, c.currency,
       'pending', clock_timestamp(), :decision, c.trace
  FROM onceward.call c WHERE c.id = :id AND c.state = 'failed'
RETURNING id
