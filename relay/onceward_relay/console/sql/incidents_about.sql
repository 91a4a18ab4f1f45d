-- Open incidents about a call, a flow or a message, and about the calls of a flow.
SELECT i.id, i.kind, i.call_id, i.flow_id, i.message_id, i.grp, i.severity, i.title, i.ref, i.amount, i.currency, i.opened_at, i.times, i.act_before, i.assignee, i.snoozed_until
  FROM onceward.incident i
 WHERE i.closed_at IS NULL
   AND coalesce(i.call_id, i.flow_id, i.message_id) = ANY (ARRAY(SELECT %(id)s::uuid UNION ALL SELECT c.id FROM onceward.call c WHERE c.flow_id = %(id)s))
 ORDER BY i.severity, i.opened_at, i.id LIMIT 100
