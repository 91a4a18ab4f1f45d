-- A provider's report for every hundredth call, all of them handled.
INSERT INTO onceward.evidence (id, call_id, provider, key, reference, kind, says, by_actor, at, handled_at)
SELECT md5('evidence ' || n)::uuid, md5('call ' || n)::uuid, %(prefix)s || 'bank', 'key-' || n, 'paid-' || n, 'webhook', 'applied', 'bank', clock_timestamp(), clock_timestamp()
  FROM generate_series(100, %(calls)s, 100) n
