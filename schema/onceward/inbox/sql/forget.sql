DELETE FROM onceward.inbox_parked WHERE seq = :seq
