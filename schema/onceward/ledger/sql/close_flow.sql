-- → closed: a person gives it up as it stands, while nothing of it is being made.
UPDATE onceward.flow f SET state = 'closed', due_at = NULL, ended_at = clock_timestamp(), resolution_id = :decision, epoch = epoch + 1, version = version + 1
 WHERE f.id = :flow_id AND f.ended_at IS NULL
   AND NOT EXISTS (SELECT FROM onceward.call c WHERE c.flow_id = f.id AND c.state IN ('pending', 'in_flight'))
RETURNING id
