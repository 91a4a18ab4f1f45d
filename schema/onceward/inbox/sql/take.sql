-- Sorted by id, because two batches that insert the same ids in opposite order would deadlock.
-- The digests come in one piece of 32 bytes each, because a client writes an array of bytes slowly.
-- Returns those that were taken before, which are few: a client reads ids slowly too.
WITH taken AS (
  INSERT INTO onceward.inbox (consumer, message_id, digest)
  SELECT :consumer, message_id, substr(CAST(:digests AS bytea), CAST(place AS integer) * 32 - 31, 32)
    FROM unnest(CAST(:message_ids AS uuid[])) WITH ORDINALITY AS incoming (message_id, place)
   ORDER BY message_id
  ON CONFLICT DO NOTHING
  RETURNING message_id)
SELECT message_id FROM unnest(CAST(:message_ids AS uuid[])) AS incoming (message_id)
 WHERE message_id NOT IN (SELECT message_id FROM taken)
