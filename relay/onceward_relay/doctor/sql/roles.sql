-- What the logged-in role is, and what of onceward's roles it has.
SELECT r.rolname, r.rolsuper,
       coalesce((SELECT array_agg(g.rolname::text ORDER BY g.rolname) FROM pg_catalog.pg_roles g
         WHERE g.rolname IN ('onceward_owner', 'onceward_participant', 'onceward_relay', 'onceward_console', 'onceward_auditor')
           AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')), '{}')
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
