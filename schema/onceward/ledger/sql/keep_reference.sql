-- in_doubt, accepted → the same, with the reference that a late answer brings. Only if it is of the one attempt that the provider can have met:
-- of several, nobody could tell which one the outcome under that reference is about.
UPDATE onceward.call c SET provider_ref = :reference, version = version + 1
 WHERE c.id = :id AND c.state IN ('in_doubt', 'accepted') AND c.provider_ref IS NULL
   AND (SELECT count(*) FROM onceward.attempt a
         WHERE a.call_id = c.id AND a.kind = 'send' AND (a.verdict IS NULL OR a.verdict NOT IN ('not_sent', 'not_reached', 'throttled'))) = 1
RETURNING id
