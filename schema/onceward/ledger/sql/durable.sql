-- A call is recorded on disk before its first byte leaves, whatever the session's default is.
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local')
