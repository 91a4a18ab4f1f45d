-- While running: bounded on both sides, so that it does not walk over the remains of those that went before.
DELETE FROM onceward.checkpoint WHERE (epoch, seq) >= (%(epoch)s, %(from)s) AND (epoch, seq) < (%(epoch)s, %(to)s)
