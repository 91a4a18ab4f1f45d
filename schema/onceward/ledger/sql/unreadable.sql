-- pending, in_doubt, accepted → the same, but what was pending is in doubt: it took effect, as a report says that cannot be read. The provider is asked, if it can be.
UPDATE onceward.call
   SET ambiguous = true, first_sent_at = coalesce(first_sent_at, clock_timestamp()), send_by = coalesce(send_by, clock_timestamp()), scope = coalesce(scope, :scope),
       asked = CASE WHEN :lookup THEN 'lookup' ELSE asked END,
       due_at = CASE WHEN :lookup OR state = 'pending' THEN clock_timestamp() ELSE due_at END,
       state = CASE WHEN state = 'pending' THEN 'in_doubt' ELSE state END, version = version + 1
 WHERE id = :id AND state IN ('pending', 'in_doubt', 'accepted')
