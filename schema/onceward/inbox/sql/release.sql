DELETE FROM onceward.inbox_hold AS hold
 WHERE consumer = :consumer AND topic = :topic AND key_hash = :key_hash
   AND NOT EXISTS (
     SELECT FROM onceward.inbox_parked AS behind
      WHERE behind.consumer = hold.consumer AND behind.topic = hold.topic AND behind.key_hash = hold.key_hash)
