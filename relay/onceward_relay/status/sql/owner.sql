-- Who took the source over last, and whether a session holds its lease now.
SELECT o.relay, o.acquired_at, o.epoch,
       EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
                WHERE l.locktype = 'advisory' AND l.classid = 1869505381 AND l.objid = 1 AND l.granted AND d.datname = current_database())
  FROM (SELECT 1) here LEFT JOIN (SELECT relay, acquired_at, epoch FROM onceward.ownership ORDER BY epoch DESC LIMIT 1) o ON true
