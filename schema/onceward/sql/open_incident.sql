-- At most one open incident of a kind for a subject; the same again counts up.
INSERT INTO onceward.incident (kind, call_id, flow_id, message_id, grp, severity, title, ref, amount, currency, act_before)
VALUES (:kind, :call_id, :flow_id, :message_id, :grp, :severity, :title, :ref, :amount, :currency, :act_before)
ON CONFLICT (kind, (coalesce(call_id, flow_id, message_id))) WHERE closed_at IS NULL
DO UPDATE SET times = incident.times + 1, title = excluded.title, act_before = excluded.act_before
