-- The provider refused our credential: nothing is sent to it until a person has seen to that.
UPDATE onceward.provider SET stopped_at = clock_timestamp(), stopped_by = 'ledger', stop_reason = :reason WHERE name = :provider AND stopped_at IS NULL
RETURNING name
