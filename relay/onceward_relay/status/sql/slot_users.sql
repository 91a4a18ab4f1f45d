-- Who keeps slots of the outbox that could be emptied, since when: those whose locks have lasted for longer than it takes to write.
SELECT coalesce(array_agg(format('%s %s since %s', b.kind, b.name, to_char(b.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')) ORDER BY b.since), '{{}}')
  FROM generate_series(0, 2) part CROSS JOIN LATERAL onceward.rotation_blockers(part::smallint) b
 WHERE part <> onceward.slot() AND b.since < clock_timestamp() - make_interval(secs => {seconds})
   AND pg_catalog.pg_relation_size(format('onceward.outbox_%s', part)::regclass) > 0
