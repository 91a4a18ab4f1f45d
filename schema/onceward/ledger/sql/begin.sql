-- — → in_flight, with attempt 1 in the same commit, which waits for the disk. In a flow only under its own claim, and while it is not undone unless
-- this call undoes; not while the database may have lost calls, unless it may always be repeated. One statement, for it stands before every call.
WITH durable AS MATERIALIZED (SELECT onceward.durable()), begun AS (
  INSERT INTO onceward.call (id, flow_id, step, seq, pivot, start_before, undoes, provider, operation, key, request, fingerprint, ref, amount, currency,
    state, due_at, epoch, worker, attempts, first_sent_at, send_by, scope, trace)
  SELECT :id, CAST(:flow_id AS uuid), :step, :seq, :pivot, clock_timestamp() + CAST(:start_within AS interval), CAST(:undoes AS uuid), :provider, :operation, :key,
    :request, :fingerprint, :ref, :amount, :currency,
    'in_flight', clock_timestamp() + :lease, 1, :worker, 1, clock_timestamp(), clock_timestamp() + :send_window, :scope, CAST(:trace AS jsonb)
    FROM durable
   WHERE NOT EXISTS (SELECT FROM onceward.call WHERE id = :id)
     AND (:always OR onceward.history_lost_since() IS NULL)
     AND NOT EXISTS (SELECT FROM onceward.provider WHERE name = :provider AND stopped_at IS NOT NULL)
     AND (CAST(:flow_epoch AS bigint) IS NULL
          OR EXISTS (SELECT FROM onceward.flow WHERE id = CAST(:flow_id AS uuid) AND epoch = :flow_epoch AND state = 'running'
                        AND undoing = (CAST(:undoes AS uuid) IS NOT NULL) FOR SHARE))
  ON CONFLICT DO NOTHING
  RETURNING id, attempts, epoch, worker, scope, send_by, request, trace
), attempt AS (
  INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, send_by)
  SELECT id, attempts, 'send', epoch, worker, scope, send_by FROM begun
)
SELECT id, attempts, epoch, request, trace, 'send' AS kind FROM begun
