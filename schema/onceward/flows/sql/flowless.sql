-- Messages that have waited for long for a flow that nobody has started are marked as told of; one whose flow was started after all is that flow's.
UPDATE onceward.signal s SET told_at = CASE WHEN found.flow_id IS NULL THEN clock_timestamp() END, flowless = found.flow_id IS NULL
  FROM (SELECT w.flow_name, w.flow_key, w.type, w.message_id, f.id AS flow_id
          FROM onceward.signal w LEFT JOIN onceward.flow f ON f.name = w.flow_name AND f.key = w.flow_key
         WHERE w.flowless AND w.taken_by IS NULL AND w.told_at IS NULL AND w.arrived_at < statement_timestamp() - CAST(:age AS interval)
         ORDER BY w.arrived_at LIMIT :limit FOR UPDATE OF w SKIP LOCKED) found
 WHERE (s.flow_name, s.flow_key, s.type, s.message_id) = (found.flow_name, found.flow_key, found.type, found.message_id)
RETURNING s.flow_name, s.flow_key, s.type, s.message_id, s.arrived_at, found.flow_id
