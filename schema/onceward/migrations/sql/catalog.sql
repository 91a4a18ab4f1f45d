-- A line for each thing of the schema onceward that must be as it is, in words that are the same on every version of PostgreSQL.
-- To read is what a team may allow to roles of its own, so that is not looked at.
WITH ours (oid, name) AS (
  SELECT oid, rolname::text FROM pg_catalog.pg_roles
   WHERE rolname IN ('onceward_owner', 'onceward_participant', 'onceward_relay', 'onceward_console', 'onceward_auditor')
), relation AS (
  SELECT * FROM pg_catalog.pg_class WHERE relnamespace = 'onceward'::regnamespace AND relkind IN ('r', 'p', 'S', 'v', 'm', 'f')
), attribute AS (
  SELECT c.relname, c.relkind, a.*
    FROM relation c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relkind <> 'S'
), function AS (
  SELECT *, format('%s(%s)', proname, pg_get_function_identity_arguments(oid)) AS signature
    FROM pg_catalog.pg_proc WHERE pronamespace = 'onceward'::regnamespace
), granted (privilege, thing, grantee) AS (
  SELECT g.privilege_type, c.relname::text, g.grantee FROM relation c, aclexplode(c.relacl) g WHERE g.grantee <> c.relowner
  UNION ALL
  SELECT g.privilege_type, format('%s.%s', a.relname, a.attname), g.grantee FROM attribute a, aclexplode(a.attacl) g
  UNION ALL
  SELECT g.privilege_type, f.signature, g.grantee FROM function f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) g WHERE g.grantee <> f.proowner
  UNION ALL
  SELECT g.privilege_type, 'the schema', g.grantee FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) g WHERE n.nspname = 'onceward' AND g.grantee <> n.nspowner
)
SELECT line FROM (
  SELECT format('role %s%s%s', name, CASE WHEN rolcanlogin THEN ' login' END, CASE WHEN rolsuper THEN ' superuser' END) AS line
    FROM ours JOIN pg_catalog.pg_roles USING (oid)
  UNION ALL
  SELECT format('schema owner %s', nspowner::regrole) FROM pg_catalog.pg_namespace WHERE nspname = 'onceward'
  UNION ALL
  SELECT format('%s %s owner %s', CASE relkind WHEN 'S' THEN 'sequence' WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' ELSE 'relation' END, relname, relowner::regrole)
    FROM relation
  UNION ALL
  SELECT format('column %s.%s %s%s%s', relname, attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' END,
           CASE WHEN attidentity <> '' THEN ' identity' WHEN attgenerated <> '' THEN ' generated' WHEN atthasdef THEN ' default' END)
    FROM attribute
  UNION ALL
  SELECT format('domain %s %s owner %s', t.typname, format_type(t.typbasetype, t.typtypmod), t.typowner::regrole)
    FROM pg_catalog.pg_type t WHERE t.typnamespace = 'onceward'::regnamespace AND t.typtype = 'd'
  UNION ALL
  SELECT format('constraint %s.%s%s', n.contypid::regtype, n.conname, CASE WHEN NOT n.convalidated THEN ' not valid' END)
    FROM pg_catalog.pg_constraint n WHERE n.connamespace = 'onceward'::regnamespace AND n.contypid <> 0
  UNION ALL
  SELECT format('constraint %s.%s%s', c.relname, n.conname, CASE WHEN NOT n.convalidated THEN ' not valid' END)
    FROM relation c JOIN pg_catalog.pg_constraint n ON n.conrelid = c.oid AND n.contype IN ('c', 'p', 'u', 'f', 'x')
  UNION ALL
  SELECT format('index %s on %s%s%s%s', x.relname, c.relname, CASE WHEN i.indisunique THEN ' unique' END,
           CASE WHEN i.indpred IS NOT NULL THEN ' partial' END, CASE WHEN NOT i.indisvalid THEN ' invalid' END)
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  UNION ALL
  SELECT format('trigger %s on %s%s', t.tgname, c.relname, CASE WHEN t.tgenabled <> 'O' THEN ' not enabled' END)
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
  UNION ALL
  SELECT format('function %s owner %s, text %s', signature, proowner::regrole, md5(concat_ws('/', prosrc, proconfig, prosecdef, provolatile)))
    FROM function
  UNION ALL
  SELECT format('grant %s on %s to %s', privilege, thing, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
    FROM granted
   WHERE privilege <> 'MAINTAIN'
     AND (grantee = 0 OR grantee IN (SELECT oid FROM ours) OR privilege NOT IN ('SELECT', 'USAGE', 'EXECUTE'))
) things ORDER BY line COLLATE "C";
