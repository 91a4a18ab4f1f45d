-- What is still under way in a participant, in words: flows, calls, and messages on either side; not what waits for a person's decision.
SELECT format('%s flow(s) %s %s%s', count(*), name, state, ': ' || max(right(rtrim(error, E'\n'), 200))) AS what
  FROM onceward.flow f
 WHERE ended_at IS NULL
   AND state <> 'blocked'
   AND NOT (state = 'waiting' AND EXISTS (
     SELECT FROM onceward.call c
      WHERE c.flow_id = f.id
        AND (c.state = 'in_doubt' AND c.due_at IS NULL OR c.difference IS NOT NULL AND c.difference_accepted_at IS NULL)))
 GROUP BY name, state
UNION ALL
SELECT format('%s call(s) of %s/%s %s', count(*), provider, operation, state)
  FROM onceward.call
 WHERE settled_at IS NULL AND NOT (state = 'in_doubt' AND due_at IS NULL)
 GROUP BY provider, operation, state
UNION ALL
SELECT format('%s message(s) parked: %s', count(*), max(error)) FROM onceward.inbox_parked HAVING count(*) > 0
UNION ALL
SELECT format('%s message(s) wait for the relay', count(*))
  FROM onceward.outbox o
 WHERE NOT EXISTS (
   SELECT FROM (SELECT s1, s2, last_id FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1) c
    WHERE pg_visible_in_snapshot(o.xid, c.s1) OR o.id <= c.last_id AND pg_visible_in_snapshot(o.xid, c.s2))
HAVING count(*) > 0
