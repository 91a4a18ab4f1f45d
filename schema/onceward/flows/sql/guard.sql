-- Keeps others from claiming the flow, and from telling it something, until this transaction ends; no row if the claim is lost.
SELECT signals FROM onceward.flow WHERE id = :id AND epoch = :epoch AND state = 'running' FOR NO KEY UPDATE
