-- in_doubt, accepted → the same: a lookup settled nothing, ask again later; the first time after the outcome is overdue, then once an hour.
-- Its version stays: nothing has changed by which a person decides.
UPDATE onceward.call SET due_at = CASE
         WHEN state = 'in_doubt' THEN clock_timestamp() + :delay
         WHEN expect_by > clock_timestamp() THEN least(clock_timestamp() + :delay, expect_by)
         ELSE clock_timestamp() + interval '1 hour' END
 WHERE id = :id AND epoch = :epoch AND state IN ('in_doubt', 'accepted')
RETURNING due_at
