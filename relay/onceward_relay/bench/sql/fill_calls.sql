-- Calls, the newest last, every other one a step of a flow: as many of the newest as there are to be incidents are not settled, most of them in doubt.
INSERT INTO onceward.call (id, flow_id, step, seq, provider, operation, key, request, fingerprint, ref, amount, currency, state, ambiguous, due_at, epoch, worker, attempts,
  first_sent_at, send_by, expect_by, scope, provider_ref, result, error_code, error_text, settled_at, settled_by, created_at)
SELECT md5('call ' || n)::uuid, flow, CASE WHEN flow IS NOT NULL THEN 'pay' END, CASE WHEN flow IS NOT NULL THEN 1 END, %(prefix)s || 'bank', 'pay', 'key-' || n,
       '{"amount": "12.50", "account": "account 1234"}', decode(md5(n::text) || md5('f' || n), 'hex'), 'order ' || n, 12.5, 'EUR', state, state = 'in_doubt',
       CASE state WHEN 'in_flight' THEN at + interval '30 s' WHEN 'accepted' THEN clock_timestamp() + interval '1 h'
                  WHEN 'pending' THEN clock_timestamp() + CASE n %% 100 WHEN 0 THEN interval '-1 min' ELSE interval '1 h' END END,
       1, 'bench', 1, CASE WHEN state NOT IN ('pending', 'cancelled') THEN at END, CASE WHEN state NOT IN ('pending', 'cancelled') THEN at + interval '5 s' END,
       CASE state WHEN 'accepted' THEN clock_timestamp() + interval '1 day' END, 'merchant-1', CASE WHEN state IN ('succeeded', 'accepted') THEN 'paid-' || n END,
       CASE state WHEN 'succeeded' THEN '{"reference": "paid-1"}'::jsonb END, CASE WHEN state <> 'succeeded' THEN 'timeout' END,
       CASE WHEN state <> 'succeeded' THEN 'no answer came in time' END, CASE WHEN settled THEN at + interval '1 s' END, CASE WHEN settled THEN 'answer' END, at
  FROM generate_series(1, %(calls)s) n,
       LATERAL (SELECT clock_timestamp() - (%(calls)s - n) * interval '90 days' / %(calls)s AS at,
                       CASE n %% 2 WHEN 0 THEN md5('flow ' || n / 2)::uuid END AS flow) which,
       LATERAL (SELECT CASE WHEN n <= %(calls)s - %(incidents)s THEN CASE WHEN n %% 1000 = 8 THEN 'cancelled' WHEN n %% 100 = 7 THEN 'failed' ELSE 'succeeded' END
                            ELSE CASE n %% 10 WHEN 0 THEN 'pending' WHEN 1 THEN 'accepted' WHEN 2 THEN 'in_flight' ELSE 'in_doubt' END END AS state) found,
       LATERAL (SELECT state IN ('succeeded', 'failed', 'cancelled') AS settled) how
