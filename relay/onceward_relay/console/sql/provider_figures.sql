-- Providers with what their operations offer, what is open and in doubt, and the workers. Money of two currencies is never added.
WITH doubt AS (
  SELECT p.name, coalesce(sum(v.number), 0)::bigint AS number, min(v.oldest) AS oldest,
         array_agg(trim_scale(v.amount) || ' ' || v.currency ORDER BY v.currency) FILTER (WHERE v.currency IS NOT NULL) AS money
    FROM onceward.provider p LEFT JOIN LATERAL (
      SELECT l.currency, count(*) AS number, sum(l.amount) AS amount, min(l.first_sent_at) AS oldest
        FROM (SELECT c.currency, c.amount, c.first_sent_at FROM onceward.call c WHERE c.state = 'in_doubt' AND c.provider = p.name LIMIT %(most)s + 1) l
       GROUP BY l.currency) v ON true
   GROUP BY p.name
), open AS (
  SELECT l.provider, count(*) AS number
    FROM (SELECT c.provider FROM onceward.call c WHERE c.settled_at IS NULL AND c.state IN ('pending', 'in_flight', 'accepted') LIMIT %(most)s + 1) l GROUP BY l.provider
), newest AS (
  SELECT l.provider, count(*) AS number, count(*) FILTER (WHERE l.ambiguous) AS ambiguous
    FROM (SELECT c.provider, c.ambiguous FROM onceward.call c WHERE c.created_at > clock_timestamp() - interval '1 day' ORDER BY c.created_at DESC, c.id DESC LIMIT %(newest)s) l
   GROUP BY l.provider
)
SELECT p.name, p.in_flight, p.per_second, p.seen_at, p.stopped_at, p.stopped_by, p.stop_reason,
       d.number AS in_doubt, d.number > %(most)s AS capped, d.oldest, d.money, coalesce(o.number, 0) AS open, coalesce(n.number, 0) AS newest, coalesce(n.ambiguous, 0) AS ambiguous,
       (SELECT json_agg(json_build_object('name', e.name, 'repeat', e.repeat, 'lifetime', extract(epoch FROM e.key_lifetime)::bigint, 'replays', e.replays, 'lookup', e.lookup,
                 'rejects_final', e.rejects_final, 'settle_delay', extract(epoch FROM e.settle_delay)::bigint, 'timeout', extract(epoch FROM e.timeout)::bigint, 'undo', e.undo) ORDER BY e.name)
          FROM onceward.operation e WHERE e.provider = p.name) AS operations,
       (SELECT json_agg(json_build_object('name', w.name, 'seen_at', w.seen_at, 'rests', p.name = ANY(w.resting), 'alive', w.seen_at > clock_timestamp() - interval '1 min') ORDER BY w.seen_at DESC, w.name)
          FROM onceward.worker w WHERE p.name = ANY(w.providers)) AS workers
  FROM onceward.provider p JOIN doubt d ON d.name = p.name LEFT JOIN open o ON o.provider = p.name LEFT JOIN newest n ON n.provider = p.name
 ORDER BY p.name
