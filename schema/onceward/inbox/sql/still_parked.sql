SELECT EXISTS (SELECT FROM onceward.inbox_parked WHERE message_id = :message_id AND state = 'parked')
