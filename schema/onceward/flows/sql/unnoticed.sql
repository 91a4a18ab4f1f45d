-- Messages whose flow was not told. One snapshot shows messages and flows: a flow that it does not show will see the message when it looks.
SELECT s.flow_name, s.flow_key, s.type, s.message_id, f.id AS flow_id
  FROM onceward.signal s LEFT JOIN onceward.flow f ON f.name = s.flow_name AND f.key = s.flow_key
 WHERE NOT s.noticed ORDER BY s.arrived_at LIMIT :limit
