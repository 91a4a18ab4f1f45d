-- How long the outbox keeps messages that are settled.
SELECT onceward.keep_outbox_for(%(seconds)s, %(actor)s, %(reason)s)
