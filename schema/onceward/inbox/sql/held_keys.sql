-- Locked, so that no retry ends a hold while a message is lining up behind it. The hashes come in one piece of 32 bytes each.
SELECT key_hash
  FROM onceward.inbox_hold
 WHERE consumer = :consumer AND topic = :topic AND key_hash = ANY (ARRAY (
   SELECT substr(CAST(:key_hashes AS bytea), place, 32)
     FROM generate_series(1, length(CAST(:key_hashes AS bytea)), 32) AS place))
 ORDER BY key_hash
   FOR KEY SHARE
