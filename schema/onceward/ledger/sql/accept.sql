-- in_flight, in_doubt → accepted: the provider has taken it on. It is asked again after :delay, or, if it cannot be asked, looked at when the outcome is overdue.
-- A reference of another attempt than the one that was accepted here is of no more use: by that the outcome of the wrong one would be taken for the call's.
UPDATE onceward.call SET state = 'accepted', expect_by = coalesce(expect_by, clock_timestamp() + :within), 
       provider_ref = CASE WHEN :sent THEN CAST(:reference AS text) ELSE coalesce(CAST(:reference AS text), provider_ref) END,
       due_at = least(clock_timestamp() + CAST(:delay AS interval), coalesce(expect_by, clock_timestamp() + :within)),
       error_code = 'accepted', error_text = :text, version = version + 1
 WHERE id = :id AND epoch = :epoch AND state IN ('in_flight', 'in_doubt')
RETURNING due_at
