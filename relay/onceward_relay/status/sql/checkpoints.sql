-- The newest checkpoint, and the one that a rate is measured from: the newest of more than a minute ago, else the oldest that is kept, of those
-- between which rows can be counted: both with no open window, or both in the same one.
WITH kept AS (
  SELECT s1::text, s2::text, last_id, written_at, page, confirmed, row_number() OVER (ORDER BY epoch DESC, seq DESC) AS age
    FROM (SELECT * FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1200) newest
)
SELECT newest.s1, newest.s2, newest.last_id, newest.written_at, base.s1, base.last_id, base.written_at, newest.page, newest.confirmed
  FROM kept newest
  LEFT JOIN LATERAL (
    SELECT k.s1, k.last_id, k.written_at FROM kept k
     WHERE k.age > 1 AND k.s2 IS NOT DISTINCT FROM newest.s2 AND (newest.s2 IS NULL OR k.s1 = newest.s1)
     ORDER BY k.written_at <= clock_timestamp() - interval '60 s' DESC,
              CASE WHEN k.written_at <= clock_timestamp() - interval '60 s' THEN k.age END, k.age DESC
     LIMIT 1) base ON true
 WHERE newest.age = 1
