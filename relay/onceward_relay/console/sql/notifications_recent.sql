-- What people were told of late over each channel, and what is to be told.
SELECT n.channel, n.grp, n.step, n.created_at, n.due_at, n.attempts, n.sent_at, n.error FROM onceward.notification n ORDER BY n.created_at DESC LIMIT 20
