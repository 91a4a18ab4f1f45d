-- At a take-over: all but the newest 100.
DELETE FROM onceward.checkpoint
 WHERE (epoch, seq) < (SELECT epoch, seq FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC OFFSET 99 LIMIT 1)
