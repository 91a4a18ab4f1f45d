-- The newest message that no step of a flow has taken.
SELECT type, message_id, count(*) OVER () AS number FROM onceward.signal
 WHERE flow_name = :name AND flow_key = :key AND taken_by IS NULL ORDER BY arrived_at DESC LIMIT 1
