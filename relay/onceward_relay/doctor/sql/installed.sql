-- Whether there is a schema onceward at all. By the catalogue: a role may be told so that may not use it.
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'onceward' AND c.relname = 'outbox')
