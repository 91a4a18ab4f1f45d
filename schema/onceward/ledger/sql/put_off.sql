-- pending, in_doubt, accepted → the same, later: the provider is stopped or given a rest. Nothing that a person's decision rests on changes, nor the version.
UPDATE onceward.call SET due_at = least(clock_timestamp() + :delay, start_before) WHERE id = :id AND state IN ('pending', 'in_doubt', 'accepted')
