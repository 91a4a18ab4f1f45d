-- → succeeded: an effect is an effect, from whatever epoch, while the call is not settled. With it ends the attempt that showed it, if one did, the
-- flow is told, and what was open about the call is closed. Waits for the disk. One statement, for it ends every call.
WITH durable AS MATERIALIZED (SELECT onceward.durable()), settled AS (
  UPDATE onceward.call SET state = 'succeeded', result = CAST(:result AS jsonb), provider_ref = :provider_ref,
         undo_request = :undo_request, difference = :difference, due_at = NULL, error_code = NULL, error_text = NULL,
         settled_at = clock_timestamp(), settled_by = :settled_by, resolution_id = coalesce(CAST(:resolution_id AS uuid), resolution_id), asked = NULL, version = version + 1
    FROM durable
   WHERE id = :id AND settled_at IS NULL
  RETURNING id, state, result, difference, difference_accepted_at, purged_at, flow_id, epoch, CASE WHEN pivot AND undoes IS NULL THEN step END AS pivot_step
), ended AS (
  UPDATE onceward.attempt a SET ended_at = clock_timestamp(), verdict = 'applied', http_status = :http_status, detail = :detail, answer = :answer,
         answer_sha256 = :answer_sha256, late = a.epoch <> settled.epoch
    FROM settled WHERE a.call_id = settled.id AND a.no = CAST(:no AS integer) AND a.ended_at IS NULL
), told AS (
  UPDATE onceward.flow f SET signals = f.signals + 1, version = f.version + 1,
         pivot_step = CASE WHEN f.undoing THEN f.pivot_step ELSE coalesce(f.pivot_step, settled.pivot_step) END,
         due_at = CASE WHEN f.state = 'waiting' THEN clock_timestamp() ELSE f.due_at END,
         state = CASE WHEN f.state = 'waiting' THEN 'running' ELSE f.state END
    FROM settled WHERE f.id = settled.flow_id
), closed AS (
  UPDATE onceward.incident i SET closed_at = clock_timestamp(), closed_by = :closer
    FROM settled WHERE coalesce(i.call_id, i.flow_id, i.message_id) = settled.id AND i.kind IN ('in_doubt', 'overdue') AND i.closed_at IS NULL
)
SELECT id, state, result, difference, difference_accepted_at, purged_at, flow_id FROM settled
