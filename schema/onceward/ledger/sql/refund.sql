-- succeeded → a new row that reverses it, wholly or in part. The trigger undo_within keeps the sum of them within what was done.
INSERT INTO onceward.call (id, key, flow_id, step, undoes, provider, operation, request, fingerprint, ref, amount, currency, state, due_at, resolution_id, trace)
SELECT :new_id, :key, c.flow_id, CASE WHEN c.flow_id IS NOT NULL THEN :step END, c.id, c.provider, :operation, :request, :fingerprint, c.ref, :amount, :currency,
       'pending', clock_timestamp(), :decision, c.trace
  FROM onceward.call c WHERE c.id = :id AND c.state = 'succeeded'
RETURNING amount, currency
