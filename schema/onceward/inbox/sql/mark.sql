UPDATE onceward.inbox SET state = :state
 WHERE consumer = :consumer AND message_id = ANY (CAST(:message_ids AS uuid[]))
