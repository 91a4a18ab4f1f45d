SELECT id, flow_id FROM onceward.call WHERE flow_id IS NOT NULL ORDER BY created_at DESC LIMIT 1
