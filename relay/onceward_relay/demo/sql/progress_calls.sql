-- Calls whose outcome is not known: those that code goes on with, and those that it leaves to people.
SELECT count(*) FILTER (WHERE state = 'in_doubt' AND due_at IS NOT NULL) AS searching,
       count(*) FILTER (WHERE state = 'in_doubt' AND due_at IS NULL) AS in_doubt
  FROM onceward.call WHERE state = 'in_doubt'
