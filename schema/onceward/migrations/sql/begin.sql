-- Stands before the revisions, in their transaction: makes what is missing of the roles, the schema and its version table, and goes on with
-- the rights of their owner, so that everything belongs to it. end.sql gives the rights back.
--
-- The roles are groups without login. A team grants them to the roles its services log in with:
--   GRANT onceward_participant TO my_service;   GRANT onceward_relay TO my_relay;
-- Roles belong to the whole cluster, so a second participant's database finds them there already.
DO $$
DECLARE
  wanted text;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('onceward.schema_version', 0));  -- one at a time in this database
  FOREACH wanted IN ARRAY ARRAY['onceward_owner', 'onceward_participant', 'onceward_relay', 'onceward_console', 'onceward_auditor'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster is being installed just now
    END;
  END LOOP;
  IF NOT pg_catalog.pg_has_role('onceward_owner', CASE WHEN pg_catalog.current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
    GRANT onceward_owner TO CURRENT_USER;  -- who installs without being a superuser must be able to act as the owner
  END IF;

  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'onceward') THEN
    CREATE SCHEMA onceward AUTHORIZATION onceward_owner;
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'onceward' AND nspowner = 'onceward_owner'::regrole) THEN
    RAISE EXCEPTION 'there is a schema named onceward that does not belong to onceward_owner'
      USING ERRCODE = 'duplicate_schema', HINT = 'Rename it. If it is empty: ALTER SCHEMA onceward OWNER TO onceward_owner.';
  END IF;

  PERFORM pg_catalog.set_config('onceward.installer_role', pg_catalog.current_setting('role'), true),
          pg_catalog.set_config('onceward.installer_search_path', pg_catalog.current_setting('search_path'), true);
  SET LOCAL search_path = pg_catalog, pg_temp;  -- no function of somebody else's can slip into a definition
  SET LOCAL ROLE onceward_owner;
END $$;

DO $$
BEGIN
  IF current_user <> 'onceward_owner' THEN
    RAISE EXCEPTION 'run this in one transaction' USING HINT = 'psql -1 -v ON_ERROR_STOP=1 -f FILE';
  END IF;
END $$;

CREATE TABLE IF NOT EXISTS onceward.schema_version (
  version_num varchar(32) CONSTRAINT schema_version_pkc PRIMARY KEY
);
