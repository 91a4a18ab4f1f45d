-- Keeps others from claiming the flow until this transaction ends; no row if the claim is lost.
SELECT id FROM onceward.flow WHERE id = :id AND epoch = :epoch AND state = 'running' FOR NO KEY UPDATE
