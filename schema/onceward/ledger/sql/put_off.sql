-- pending, in_doubt, accepted → the same, later, but not past what people must hear of: the provider is stopped or given a rest.
-- Its version stays: nothing has changed by which a person decides.
UPDATE onceward.call SET due_at = least(clock_timestamp() + :delay, start_before, CASE WHEN expect_by > clock_timestamp() THEN expect_by END)
 WHERE id = :id AND state IN ('pending', 'in_doubt', 'accepted')
