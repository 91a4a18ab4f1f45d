UPDATE onceward.signal SET noticed = true, flowless = CAST(:flow_id AS uuid) IS NULL
 WHERE flow_name = :flow_name AND flow_key = :flow_key AND type = :type AND message_id = :message_id AND NOT noticed
RETURNING taken_by
