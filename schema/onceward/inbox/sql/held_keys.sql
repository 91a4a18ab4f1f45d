-- Locked, so that no retry ends a hold while a message is lining up behind it.
SELECT key_hash
  FROM onceward.inbox_hold
 WHERE consumer = :consumer AND topic = :topic AND key_hash = ANY (CAST(:key_hashes AS bytea[]))
 ORDER BY key_hash
   FOR KEY SHARE
