-- One open incident for a message; the same again counts up.
INSERT INTO onceward.incident (kind, message_id, grp, severity, title)
VALUES ('parked_out', %(message_id)s::uuid, %(grp)s, 2, %(title)s)
ON CONFLICT (kind, (coalesce(call_id, flow_id, message_id))) WHERE closed_at IS NULL DO UPDATE SET times = incident.times + 1
