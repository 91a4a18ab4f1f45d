-- Group roles without login. A team grants them to the roles its services log in with:
--   GRANT onceward_participant TO my_service;   GRANT onceward_relay TO my_relay;
-- Roles belong to the whole cluster, so a second participant database finds them there already.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['onceward_owner', 'onceward_participant', 'onceward_relay', 'onceward_console', 'onceward_auditor'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster is being installed just now
    END;
  END LOOP;
  IF NOT pg_catalog.pg_has_role('onceward_owner', 'USAGE') THEN
    GRANT onceward_owner TO CURRENT_USER;  -- who installs without being a superuser must be able to give things to the owner
  END IF;
END $$;

COMMENT ON SCHEMA onceward IS 'Outbox, inbox, ledger of external calls and flows. A public contract: documented, migrated with N-1 compatibility.';
