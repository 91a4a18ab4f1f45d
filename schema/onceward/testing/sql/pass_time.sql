-- Lets time pass by moving what is written into the past.
WITH flows AS (UPDATE onceward.flow SET due_at = due_at - :time, created_at = created_at - :time WHERE ended_at IS NULL),
     steps AS (UPDATE onceward.flow_step SET until = until - :time, at = at - :time),
     calls AS (
       UPDATE onceward.call SET due_at = due_at - :time, first_sent_at = first_sent_at - :time, send_by = send_by - :time,
         start_before = start_before - :time, expect_by = expect_by - :time, created_at = created_at - :time WHERE settled_at IS NULL),
     attempts AS (UPDATE onceward.attempt SET began_at = began_at - :time, send_by = send_by - :time, ended_at = ended_at - :time),
     incidents AS (
       UPDATE onceward.incident SET opened_at = opened_at - :time, act_before = act_before - :time, snoozed_until = snoozed_until - :time),
     signals AS (UPDATE onceward.signal SET arrived_at = arrived_at - :time),
     notifications AS (UPDATE onceward.notification SET created_at = created_at - :time, due_at = due_at - :time)
UPDATE onceward.resolution SET not_before = not_before - :time WHERE state = 'approved'
