-- Since when the relay has been at it, and when it wrote the checkpoint that covers everything (NULL: not yet).
SELECT (SELECT acquired_at FROM onceward.ownership ORDER BY epoch DESC LIMIT 1),
       (SELECT c.written_at
          FROM (SELECT * FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1) c
         WHERE c.s2 IS NULL
           AND pg_visible_in_snapshot((SELECT xid FROM onceward.outbox ORDER BY xid DESC LIMIT 1), c.s1))
