SELECT message_id, digest
  FROM onceward.inbox
 WHERE consumer = :consumer AND message_id = ANY (CAST(:message_ids AS uuid[]))
