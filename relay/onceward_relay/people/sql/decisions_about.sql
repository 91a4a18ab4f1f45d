SELECT * FROM onceward.resolution_shown WHERE coalesce(call_id, flow_id) = %(id)s ORDER BY proposed_at
