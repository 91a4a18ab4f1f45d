-- What is still under way in a participant, in words, except for what waits for a person's decision on a call.
SELECT format('%s flow(s) %s %s%s', count(*), name, state, ': ' || max(right(rtrim(error, E'\n'), 200))) AS what
  FROM onceward.flow f
 WHERE state <> 'completed'
   AND NOT (state = 'waiting' AND EXISTS (SELECT FROM onceward.call c WHERE c.flow_id = f.id AND c.state = 'in_doubt' AND c.due_at IS NULL))
 GROUP BY name, state
UNION ALL
SELECT format('%s call(s) of %s/%s %s', count(*), provider, operation, state)
  FROM onceward.call
 WHERE settled_at IS NULL AND NOT (state = 'in_doubt' AND due_at IS NULL)
 GROUP BY provider, operation, state
UNION ALL
SELECT format('%s message(s) parked: %s', count(*), max(error)) FROM onceward.inbox_parked HAVING count(*) > 0
