-- The fence: a new epoch. No row: somebody else has taken this number.
INSERT INTO onceward.ownership (epoch, relay)
SELECT greatest((SELECT max(epoch) FROM onceward.ownership), (SELECT max(epoch) FROM onceward.checkpoint), 0) + 1, %(relay)s
ON CONFLICT DO NOTHING
RETURNING epoch
