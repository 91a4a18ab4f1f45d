SELECT c.id FROM onceward.call c
 WHERE c.provider = :provider AND c.operation IN (SELECT o.name FROM onceward.operation o WHERE o.provider = :provider) AND c.key = :key
