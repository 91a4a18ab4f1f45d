-- succeeded → succeeded: a person takes what the provider did.
UPDATE onceward.call SET difference_accepted_at = clock_timestamp(), version = version + 1
 WHERE id = :id AND state = 'succeeded' AND difference IS NOT NULL AND difference_accepted_at IS NULL
RETURNING flow_id, NULL AS pivot_step
