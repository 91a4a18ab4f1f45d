-- in_doubt, accepted: a report gives reason to ask the provider.
UPDATE onceward.call SET asked = 'lookup', due_at = clock_timestamp(), version = version + 1 WHERE id = :id AND state IN ('in_doubt', 'accepted') AND :lookup
