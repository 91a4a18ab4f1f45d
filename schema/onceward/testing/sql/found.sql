SELECT f.state, f.error,
       ARRAY(SELECT i.title FROM onceward.incident i WHERE i.closed_at IS NULL ORDER BY i.opened_at) AS incidents,
       ARRAY(SELECT c.provider || '/' || c.operation FROM onceward.call c JOIN onceward.operation o ON (o.provider, o.name) = (c.provider, c.operation)
              WHERE c.flow_id = f.id AND c.state = 'in_doubt' AND c.due_at IS NULL) AS in_doubt
  FROM onceward.flow f WHERE f.id = :id
