-- settled → settled, with a mark that evidence speaks against it.
UPDATE onceward.call SET conflict_at = coalesce(conflict_at, clock_timestamp()), version = version + 1 WHERE id = :id AND settled_at IS NOT NULL
