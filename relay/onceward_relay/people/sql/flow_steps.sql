-- The steps of a flow in their order: local ones, and calls with what reversed them and what would.
SELECT s.step, s.seq, s.kind, CASE WHEN s.waits THEN 'waiting' ELSE 'done' END AS state, NULL::numeric AS amount, NULL AS currency, s.at, NULL::uuid AS call_id, NULL AS known, NULL AS undo, NULL::jsonb AS undo_request,
       false AS to_undo
  FROM onceward.flow_step_shown s WHERE s.flow_id = %(id)s
UNION ALL
SELECT c.step, c.seq, 'call ' || c.provider || '/' || c.operation, c.state, c.amount, c.currency, c.created_at, c.id, coalesce(c.error_text, c.provider_ref), c.undo, c.undo_request,
       c.state = 'succeeded' AND c.undoes IS NULL AND (c.undo IS NOT NULL OR c.amount IS NOT NULL)
         AND (SELECT CASE WHEN c.amount IS NULL THEN count(*) = 0 ELSE coalesce(sum(u.amount), 0) < c.amount END
                FROM onceward.call u WHERE u.undoes = c.id AND u.state NOT IN ('failed', 'cancelled'))
  FROM onceward.call_shown c WHERE c.flow_id = %(id)s
 ORDER BY at, seq
