-- How many connections there are and may be: of the server, of this database and of this role. A limit of -1 is none.
SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'),
       (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()),
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = current_user AND backend_type = 'client backend'),
       (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user)
