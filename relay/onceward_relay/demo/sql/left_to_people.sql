-- Business references of the calls that nobody but a person can settle.
SELECT ref FROM onceward.call WHERE state = 'in_doubt' AND due_at IS NULL
