-- How many connections there are and may be: of the server, of this database and of this role. A limit of -1 is none.
-- The kind of another role's session may not be seen: it counts as a client's.
WITH client AS (
  SELECT datname, usename FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
)
SELECT (SELECT count(*) FROM client),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       (SELECT count(*) FROM client WHERE datname = current_database()),
       (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()),
       (SELECT count(*) FROM client WHERE usename = current_user),
       (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user)
