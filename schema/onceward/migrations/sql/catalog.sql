-- A line for each thing of the schema onceward that must be as it is, in words that are the same on every version of PostgreSQL.
SELECT line FROM (
  SELECT format('table %s owner %s', c.relname, c.relowner::regrole) AS line
    FROM pg_catalog.pg_class c WHERE c.relnamespace = 'onceward'::regnamespace AND c.relkind IN ('r', 'p', 'S')
  UNION ALL
  SELECT format('column %s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relnamespace = 'onceward'::regnamespace AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT format('constraint %s.%s %s', c.relname, n.conname, CASE WHEN n.convalidated THEN 'valid' ELSE 'not valid' END)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_constraint n ON n.conrelid = c.oid
   WHERE c.relnamespace = 'onceward'::regnamespace AND n.contype IN ('c', 'p', 'u', 'f')
  UNION ALL
  SELECT format('index %s', x.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
   WHERE x.relnamespace = 'onceward'::regnamespace AND i.indisvalid
  UNION ALL
  SELECT format('trigger %s.%s %s', c.relname, t.tgname, t.tgenabled)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
   WHERE c.relnamespace = 'onceward'::regnamespace
  UNION ALL
  SELECT format('function %s(%s) owner %s', p.proname, pg_get_function_identity_arguments(p.oid), p.proowner::regrole)
    FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onceward'::regnamespace
  UNION ALL
  SELECT format('grant %s on %s to %s', g.privilege_type, c.relname, g.grantee::regrole)
    FROM pg_catalog.pg_class c, aclexplode(c.relacl) g
   WHERE c.relnamespace = 'onceward'::regnamespace AND g.grantee <> c.relowner AND g.privilege_type <> 'MAINTAIN'
  UNION ALL
  SELECT format('grant %s on %s.%s to %s', g.privilege_type, c.relname, a.attname, g.grantee::regrole)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
   WHERE c.relnamespace = 'onceward'::regnamespace
  UNION ALL
  SELECT format('grant %s on %s() to %s', g.privilege_type, p.proname, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
    FROM pg_catalog.pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
   WHERE p.pronamespace = 'onceward'::regnamespace AND g.grantee <> p.proowner
  UNION ALL
  SELECT format('grant %s on schema to %s', g.privilege_type, g.grantee::regrole)
    FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) g
   WHERE n.nspname = 'onceward' AND g.grantee <> n.nspowner
  UNION ALL
  SELECT format('role %s', rolname) FROM pg_catalog.pg_roles
   WHERE rolname IN ('onceward_owner', 'onceward_participant', 'onceward_relay', 'onceward_console', 'onceward_auditor')
) things ORDER BY line COLLATE "C";
