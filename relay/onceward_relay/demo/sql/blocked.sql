-- Flows that stand still, with the incident that they wait in.
SELECT f.id, f.name, f.key,
       (SELECT min(i.title) FROM onceward.incident i WHERE i.flow_id = f.id AND i.closed_at IS NULL) AS incident
  FROM onceward.flow f WHERE f.state = 'blocked'
 ORDER BY f.created_at
