INSERT INTO onceward.call (id, flow_id, step, provider, operation, key, request, fingerprint, ref, amount, currency, state, due_at, epoch, worker,
  attempts, first_sent_at, send_by, scope)
VALUES (%(id)s, %(flow)s, CASE WHEN %(flow)s::uuid IS NOT NULL THEN 'pay' END, %(provider)s, 'pay', %(id)s::text, %(request)s, %(fingerprint)s, 'order 1234',
  12.50, 'EUR', 'in_flight', clock_timestamp() + interval '20 s', 1, 'raw', 1, clock_timestamp(), clock_timestamp() + interval '5 s', 'default')
