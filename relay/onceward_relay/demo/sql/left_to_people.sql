-- Business references of what nobody but a person can carry on: calls without an answer, calls that did something else, flows that stand still.
SELECT ref FROM onceward.call WHERE state = 'in_doubt' AND due_at IS NULL
UNION
SELECT ref FROM onceward.call WHERE difference IS NOT NULL AND difference_accepted_at IS NULL
UNION
SELECT key FROM onceward.flow WHERE state = 'blocked'
