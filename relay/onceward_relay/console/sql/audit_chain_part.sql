-- Recomputes the next entries of the chain behind one that was verified; and whether that one is as it was.
WITH part AS (
  SELECT a.no, a.previous, a.hash, a.hash = onceward.audit_hash(a) AS as_written FROM onceward.audit a WHERE a.no > %(number)s ORDER BY a.no LIMIT %(limit)s
), chain AS (
  SELECT no, hash,
         CASE WHEN no <> coalesce(lag(no) OVER entries, %(number)s) + 1 THEN 'does not follow ' || coalesce(lag(no) OVER entries, %(number)s) || ': what stood between them was removed'
              WHEN previous <> coalesce(lag(hash) OVER entries, %(hash)s) THEN 'does not follow the one before it'
              WHEN NOT as_written THEN 'was changed' END AS why
    FROM part WINDOW entries AS (ORDER BY no)
), broken AS (
  SELECT no, why FROM chain WHERE why IS NOT NULL ORDER BY no LIMIT 1
)
SELECT (SELECT count(*) FROM chain) AS entries, (SELECT max(no) FROM chain) AS number, (SELECT hash FROM chain ORDER BY no DESC LIMIT 1) AS hash,
       (SELECT no FROM broken) AS broken, (SELECT why FROM broken) AS why, (SELECT a.hash FROM onceward.audit a WHERE a.no = %(number)s) AS kept
