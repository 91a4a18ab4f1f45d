-- Inbox messages that were set aside, or wait behind one that was.
SELECT count(*) FROM (SELECT FROM onceward.inbox_parked ORDER BY seq LIMIT {limit}) parked
