-- Sorted by id, because two batches that insert the same ids in opposite order would deadlock.
INSERT INTO onceward.inbox (consumer, message_id, digest)
SELECT :consumer, message_id, digest
  FROM unnest(CAST(:message_ids AS uuid[]), CAST(:digests AS bytea[])) AS incoming (message_id, digest)
 ORDER BY message_id
ON CONFLICT DO NOTHING
RETURNING message_id
