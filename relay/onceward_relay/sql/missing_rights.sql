-- What the relay's role may not do and must.
SELECT needed.right || ' on ' || needed.name
  FROM (VALUES ('SELECT', 'outbox'), ('SELECT', 'ownership'), ('INSERT', 'ownership'),
    ('SELECT', 'checkpoint'), ('INSERT', 'checkpoint'), ('DELETE', 'checkpoint'), ('SELECT', 'hold'), ('INSERT', 'hold'),
    ('INSERT', 'held_message'), ('INSERT', 'incident'), ('UPDATE', 'incident')) AS needed ("right", name)
 WHERE NOT pg_catalog.has_table_privilege('onceward.' || needed.name, needed.right)
