-- Flows, the newest last: nearly all have ended; of the newest fiftieth most wait, some stand still, and a few are due.
INSERT INTO onceward.flow (id, name, key, input, state, due_at, epoch, undoing, undo_reason, error, created_at, ended_at)
SELECT md5('flow ' || n)::uuid, %(prefix)s || 'settle', n::text, '{"number": 1}', state,
       CASE WHEN state = 'running' THEN clock_timestamp() - n * interval '1 ms' END, 1, state = 'undone', CASE state WHEN 'undone' THEN 'no funds' END,
       CASE state WHEN 'blocked' THEN 'ValueError' END, at, CASE WHEN state IN ('completed', 'undone') THEN at + interval '1 s' END
  FROM generate_series(1, %(flows)s) n,
       LATERAL (SELECT clock_timestamp() - (%(flows)s - n) * interval '90 days' / %(flows)s AS at) moment,
       LATERAL (SELECT CASE WHEN n <= %(flows)s * 0.98 THEN CASE n %% 200 WHEN 0 THEN 'undone' ELSE 'completed' END
                            ELSE CASE n %% 20 WHEN 0 THEN 'blocked' WHEN 1 THEN 'running' ELSE 'waiting' END END AS state) found
