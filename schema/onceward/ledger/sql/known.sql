-- Whether the call or another one under its key is recorded, and whether the flow's guard, which is that of begin.sql, lets it be.
SELECT EXISTS (SELECT FROM onceward.call c WHERE c.id = :id OR (c.provider, c.operation, c.key) = (:provider, :operation, :key)) AS recorded,
       CAST(:flow_epoch AS bigint) IS NULL
         OR EXISTS (SELECT FROM onceward.flow WHERE id = CAST(:flow_id AS uuid) AND epoch = :flow_epoch AND state = 'running'
                       AND undoing = (CAST(:undoes AS uuid) IS NOT NULL)) AS claimed
