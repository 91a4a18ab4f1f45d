-- Recomputes the chain: the first entry that is not as it was written, and where the chain ends.
WITH chain AS (
  SELECT a.no, a.hash,
         CASE WHEN a.no <> coalesce(lag(a.no) OVER entries, 0) + 1 THEN 'does not follow ' || coalesce(lag(a.no) OVER entries, 0) || ': what stood between them was removed'
              WHEN a.previous <> coalesce(lag(a.hash) OVER entries, decode(repeat('00', 32), 'hex')) THEN 'does not follow the one before it'
              WHEN a.hash <> onceward.audit_hash(a) THEN 'was changed' END AS why
    FROM onceward.audit a WINDOW entries AS (ORDER BY a.no)
), broken AS (
  SELECT no, why FROM chain WHERE why IS NOT NULL ORDER BY no LIMIT 1
)
SELECT (SELECT count(*) FROM chain) AS entries, (SELECT max(no) FROM chain) AS number, (SELECT encode(hash, 'hex') FROM chain ORDER BY no DESC LIMIT 1) AS hash,
       (SELECT no FROM broken) AS broken, (SELECT why FROM broken) AS why, (SELECT encode(hash, 'hex') FROM chain WHERE no = %(head)s) AS head_hash
