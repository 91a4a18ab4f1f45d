-- Fills a participant's database with so many calls, open incidents and entries of the audit: what a console finds after years, or in the worst night.
SET session_replication_role = replica;  -- rows are written in bulk; triggers are tested elsewhere
SET synchronous_commit = off;

INSERT INTO onceward.provider (name, in_flight) VALUES ('bank', 8), ('card', 4), ('carrier', NULL), ('mail', NULL);
INSERT INTO onceward.operation (provider, name, repeat, key_lifetime, lookup, settle_delay, timeout, undo, shown, request_schema, result_schema)
SELECT p.name, o.name, 'same_key', '1 day', 'positive', '1 min', '30 s', CASE WHEN o.name = 'pay' THEN 'refund' END, '{amount,reference}', '{}', '{}'
  FROM onceward.provider p CROSS JOIN (VALUES ('pay'), ('refund'), ('check')) o (name);
INSERT INTO onceward.worker (name, flows, providers) SELECT 'worker-' || n, '{transfers,orders,returns}', '{bank,card,carrier,mail}' FROM generate_series(1, 4) n;

CREATE FUNCTION pg_temp.of(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.md5(kind || n)::uuid $$;

INSERT INTO onceward.flow (id, name, key, message_id, input, state, due_at, created_at, ended_at)
SELECT pg_temp.of('flow', n), (ARRAY['transfers', 'orders', 'returns'])[n % 3 + 1], 'flow-' || n, pg_temp.of('message', n), '{}',
       CASE WHEN n <= {incidents} / 10 THEN 'blocked' ELSE 'completed' END, NULL, now() - n * interval '20 s', CASE WHEN n > {incidents} / 10 THEN now() END
  FROM generate_series(1, {calls} / 2) n;

INSERT INTO onceward.call (id, flow_id, step, seq, provider, operation, key, request, fingerprint, ref, amount, currency, state, ambiguous, scope, attempts, first_sent_at, send_by,
  provider_ref, result, undo_request, error_code, error_text, settled_at, settled_by, created_at)
SELECT pg_temp.of('call', n), pg_temp.of('flow', (n + 1) / 2), 'step-' || n % 2, n % 2, (ARRAY['bank', 'card', 'carrier', 'mail'])[n % 4 + 1], (ARRAY['pay', 'check'])[n % 2 + 1], 'key-' || n,
       '{"amount": "100", "name": "Ada"}', sha256('x'), 'order-' || n / 3, n % 1000, (ARRAY['EUR', 'USD', 'CZK'])[n % 3 + 1],
       CASE WHEN doubt THEN 'in_doubt' ELSE 'succeeded' END, doubt OR n % 500 = 0, 'merchant-1', 1, at, at + interval '5 s',
       CASE WHEN NOT doubt THEN 'ref-' || n END, CASE WHEN NOT doubt THEN '{"reference": "r"}'::jsonb END, CASE WHEN NOT doubt THEN '{}'::bytea END,
       CASE WHEN doubt THEN 'timeout' END, CASE WHEN doubt THEN 'no answer came' END, CASE WHEN NOT doubt THEN at END, CASE WHEN NOT doubt THEN 'answer' END, at
  FROM (SELECT n, n % greatest(2, {calls} / ({incidents} * 8 / 10)) = 0 AND n <= {calls} AS doubt, now() - n * interval '10 s' AS at FROM generate_series(1, {calls}) n) each;
INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, began_at, send_by, ended_at, verdict)
SELECT c.id, 1, 'send', 1, 'worker-1', 'merchant-1', c.created_at, c.created_at + interval '5 s', c.created_at + interval '1 s', CASE WHEN c.ambiguous THEN 'unknown' ELSE 'applied' END
  FROM onceward.call c;

INSERT INTO onceward.incident (id, kind, call_id, flow_id, grp, severity, title, ref, amount, currency, opened_at, act_before, assignee)
SELECT gen_random_uuid(), 'in_doubt', c.id, c.flow_id, format('%s/%s/%s', c.provider, c.operation, (ARRAY['timeout', 'bad_answer', '502', 'reset', 'truncated'])[row_number() OVER () % 5 + 1]),
       1 + (row_number() OVER () % 3)::int, 'The ' || c.provider || ' did not answer: nobody knows whether ' || c.key || ' took effect', c.ref, c.amount, c.currency,
       c.created_at + interval '1 min', CASE WHEN row_number() OVER () % 4 = 0 THEN now() + interval '5 h' END, CASE WHEN row_number() OVER () % 20 = 0 THEN 'Bob' END
  FROM (SELECT * FROM onceward.call WHERE state = 'in_doubt' LIMIT {incidents} * 9 / 10) c;
INSERT INTO onceward.incident (kind, flow_id, grp, severity, title, opened_at)
SELECT 'flow_error', pg_temp.of('flow', n), (ARRAY['transfers', 'orders', 'returns'])[n % 3 + 1] || '/' || (ARRAY['KeyError', 'ValueError'])[n % 2 + 1], 2,
       'The flow stands still: its code failed ' || n, now() - n * interval '1 min' FROM generate_series(1, {incidents} / 10) n;
INSERT INTO onceward.incident (kind, call_id, grp, severity, title, ref, opened_at, closed_at, closed_by)
SELECT 'in_doubt', pg_temp.of('call', n), 'bank/pay/timeout', 1, 'The bank did not answer', 'order-' || n / 3, now() - n * interval '1 min', now(), 'lookup' FROM generate_series(1, {incidents}) n;

INSERT INTO onceward.inbox (consumer, message_id, digest) SELECT 'shop-' || n % 2, pg_temp.of('message', n), sha256('x') FROM generate_series(1, {calls} / 2) n;
INSERT INTO onceward.inbox_parked (consumer, message_id, topic, partition, "offset", key, payload, headers, record_hash, state, error, attempts)
SELECT 'shop-0', pg_temp.of('parked', n), 'orders', n % 8, n, convert_to('order-' || n / 4, 'UTF8'), '{}', '[]', sha256('x'), CASE WHEN n % 4 = 0 THEN 'parked' ELSE 'held' END, 'ValueError: no such item', 1
  FROM generate_series(1, {incidents} / 10) n;
INSERT INTO onceward.hold (scope, topic, key, reason, actor) SELECT 'key', 'orders', convert_to('order-' || n, 'UTF8'), 'MSG_SIZE_TOO_LARGE', 'relay-1' FROM generate_series(1, 100) n;
INSERT INTO onceward.held_message (id, hold_id, state, error, message_id, topic, key, type, payload, headers, created_at)
SELECT row_number() OVER (), h.hold_id, CASE WHEN n = 1 THEN 'poison' ELSE 'behind' END, 'MSG_SIZE_TOO_LARGE', gen_random_uuid(), h.topic, h.key, 'order.placed', '{}', '{}', now()
  FROM onceward.hold h CROSS JOIN generate_series(1, greatest(1, {incidents} / 1000)) n;
SELECT count(onceward.publish('orders', 'k', 'order.placed', '{}', '{}')) FROM generate_series(1, 20000);
INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'relay-1');
INSERT INTO onceward.checkpoint (epoch, seq, s1) SELECT 1, n, pg_current_snapshot() FROM generate_series(1, 100) n;

INSERT INTO onceward.resolution (id, call_id, verb, seen_version, reason, approvals, proposed_by)
SELECT gen_random_uuid(), c.id, 'not_applied', 1, 'the bank''s support says so', 1, 'ada' FROM (SELECT id FROM onceward.call WHERE state = 'in_doubt' LIMIT 200) c;
SELECT count(onceward.record((ARRAY['ada', 'bob', 'cyd'])[n % 3 + 1], (ARRAY['note', 'decision.propose', 'call.reveal', 'incident.claim'])[n % 4 + 1], 'call', pg_temp.of('call', n % 1000)::text, 'because of ' || n))
  FROM generate_series(1, {entries}) n;
RESET session_replication_role;
