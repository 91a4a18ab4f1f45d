SELECT true FROM onceward.inbox_hold
 WHERE consumer = :consumer AND topic = :topic AND key_hash = :key_hash
   FOR UPDATE SKIP LOCKED
