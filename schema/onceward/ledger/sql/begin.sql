-- — → in_flight, with attempt 1 in the same commit.
INSERT INTO onceward.call (id, flow_id, step, provider, operation, key, request, fingerprint, ref, amount, currency,
  state, due_at, epoch, worker, attempts, first_sent_at, send_by, scope, trace)
VALUES (:id, :flow_id, :step, :provider, :operation, :key, :request, :fingerprint, :ref, :amount, :currency,
  'in_flight', clock_timestamp() + :lease, 1, :worker, 1, clock_timestamp(), clock_timestamp() + :send_window, :scope, CAST(:trace AS jsonb))
ON CONFLICT DO NOTHING
RETURNING id, attempts, epoch, trace, 'send' AS kind
