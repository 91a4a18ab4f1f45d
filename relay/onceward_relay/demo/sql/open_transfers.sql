-- Transfers that have not come to their end.
SELECT id, state FROM transfer WHERE state NOT IN ('completed', 'refused', 'refunded')
