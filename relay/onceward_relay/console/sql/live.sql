-- Marks that change when what open pages show has changed. Asked every two seconds while anybody looks, once for all of them.
SELECT 'worklist' AS topic, NULL::uuid AS id,
       concat_ws(' ', (SELECT count(*) FROM (SELECT FROM onceward.incident i WHERE i.closed_at IS NULL LIMIT 50001) l),
         (SELECT md5(string_agg(concat_ws(' ', t.id, t.times, t.severity, t.assignee, t.act_before), ','))
            FROM (SELECT i.id, i.times, i.severity, i.assignee, i.act_before FROM onceward.incident i
                   WHERE i.closed_at IS NULL AND (i.snoozed_until IS NULL OR i.snoozed_until <= clock_timestamp()) ORDER BY i.severity, i.opened_at, i.id LIMIT 60) t),
         (SELECT h.no FROM onceward.audit_head() h)) AS mark
UNION ALL
SELECT 'approvals', NULL, concat_ws(' ', count(*), extract(epoch FROM max(l.proposed_at)))
  FROM (SELECT r.proposed_at FROM onceward.resolution r WHERE r.state = 'proposed' ORDER BY r.proposed_at DESC LIMIT 1000) l
UNION ALL
SELECT 'call', c.id, c.version::text FROM onceward.call c WHERE c.id = ANY(%(calls)s)
UNION ALL
SELECT 'flow', f.id, f.version::text FROM onceward.flow f WHERE f.id = ANY(%(flows)s)
