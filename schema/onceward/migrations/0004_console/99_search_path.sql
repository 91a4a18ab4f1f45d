-- A search_path that does not name pg_temp has it first, for types and tables: a caller's own domain, named like a type of ours, would run its code with the owner's rights.
DO $$
DECLARE
  pinned regprocedure;
BEGIN
  FOR pinned IN
    SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onceward'::regnamespace AND p.proconfig @> ARRAY['search_path=pg_catalog']
  LOOP
    EXECUTE format('ALTER ROUTINE %s SET search_path = pg_catalog, pg_temp', pinned);
  END LOOP;
END $$;
