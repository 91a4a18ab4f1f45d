-- Calls whose outcome is not known, and that code goes on with.
SELECT count(*) AS searching FROM onceward.call WHERE state = 'in_doubt' AND due_at IS NOT NULL
