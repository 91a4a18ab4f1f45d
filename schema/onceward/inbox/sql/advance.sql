-- The next of the key is due now. One that failed itself is not: it waits for a person.
UPDATE onceward.inbox_parked SET next_try = clock_timestamp()
 WHERE state = 'held' AND seq = (
   SELECT seq FROM onceward.inbox_parked
    WHERE consumer = :consumer AND topic = :topic AND key_hash = :key_hash
    ORDER BY seq LIMIT 1)
RETURNING seq
