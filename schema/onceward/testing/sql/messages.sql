SELECT topic, type, count(*) AS number FROM onceward.outbox GROUP BY topic, type
