-- Whether this role sees what the sessions of other roles do.
SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
