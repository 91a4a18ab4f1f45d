-- Claims the flow that has been due the longest. Two workers never get the same one: each skips what another has locked.
-- The time is the statement's, not the clock's: only a time that stands still lets the index end the search.
UPDATE onceward.flow
   SET epoch = epoch + 1, state = 'running', worker = :worker, code_version = :code_version, version = version + 1,
       due_at = clock_timestamp() + make_interval(secs => :lease)
 WHERE id = (SELECT id FROM onceward.flow
              WHERE due_at <= statement_timestamp() AND paused_at IS NULL AND name = ANY(:names)
              ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id, name, key, input, epoch, signals, failures, error IS NOT NULL AS troubled, undo_reason, trace
