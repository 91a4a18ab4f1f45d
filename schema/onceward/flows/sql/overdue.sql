-- A wait is late: that is told once, and it waits on.
UPDATE onceward.flow_step SET until = NULL
 WHERE flow_id = :id AND step = :step AND result IS NULL AND until <= clock_timestamp()
RETURNING at
