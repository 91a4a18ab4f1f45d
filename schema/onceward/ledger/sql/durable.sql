-- A call is recorded on disk before its first byte leaves, whatever the session's default is. Times are reckoned in UTC: elsewhere the
-- "1 day" for which a provider remembers a key has 25 hours when the clocks go back.
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
       set_config('TimeZone', 'UTC', true), onceward.history_lost_since() AS lost_since
