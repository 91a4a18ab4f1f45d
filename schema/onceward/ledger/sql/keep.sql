-- — → pending: the worker is at a limit of the provider's or gives it a rest (then :delay is given), or it is stopped. The flow's guard is that of begin.sql.
INSERT INTO onceward.call (id, flow_id, step, seq, pivot, start_before, undoes, provider, operation, key, request, fingerprint, ref, amount, currency,
  state, due_at, error_code, error_text, trace)
SELECT :id, CAST(:flow_id AS uuid), :step, :seq, :pivot, clock_timestamp() + CAST(:start_within AS interval), CAST(:undoes AS uuid), :provider, :operation, :key,
  :request, :fingerprint, :ref, :amount, :currency,
  'pending', clock_timestamp() + least(coalesce(CAST(:delay AS interval), :stopped_delay), CAST(:start_within AS interval)),
  CASE WHEN p.stopped_at IS NULL THEN 'waits' ELSE 'provider_stopped' END,
  CASE WHEN p.stopped_at IS NULL THEN CAST(:why AS text) ELSE 'the provider is stopped: ' || p.stop_reason END, CAST(:trace AS jsonb)
  FROM onceward.provider p
 WHERE p.name = :provider AND (CAST(:delay AS interval) IS NOT NULL OR p.stopped_at IS NOT NULL)
   AND NOT EXISTS (SELECT FROM onceward.call WHERE id = :id)
   AND (CAST(:flow_epoch AS bigint) IS NULL
        OR EXISTS (SELECT FROM onceward.flow WHERE id = CAST(:flow_id AS uuid) AND epoch = :flow_epoch AND state = 'running'
                      AND undoing = (CAST(:undoes AS uuid) IS NOT NULL) FOR SHARE))
ON CONFLICT DO NOTHING
RETURNING id
