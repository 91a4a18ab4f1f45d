DO $$
BEGIN
  PERFORM pg_catalog.set_config('role', pg_catalog.current_setting('onceward.installer_role'), true),
          pg_catalog.set_config('search_path', pg_catalog.current_setting('onceward.installer_search_path'), true);
END $$;
