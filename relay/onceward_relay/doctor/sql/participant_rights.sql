-- What a participant's role may not do and must.
SELECT needed.right || ' on ' || needed.name
  FROM (VALUES ('SELECT', 'inbox'), ('INSERT', 'inbox'), ('UPDATE', 'inbox'), ('SELECT', 'inbox_parked'), ('INSERT', 'inbox_parked'),
    ('DELETE', 'inbox_parked'), ('SELECT', 'inbox_hold'), ('INSERT', 'inbox_hold'), ('DELETE', 'inbox_hold'), ('SELECT', 'flow'), ('INSERT', 'flow'),
    ('UPDATE', 'flow'), ('INSERT', 'flow_step'), ('SELECT', 'call'), ('INSERT', 'call'), ('UPDATE', 'call'), ('INSERT', 'attempt'),
    ('UPDATE', 'attempt'), ('INSERT', 'incident'), ('UPDATE', 'incident')) AS needed ("right", name)
 WHERE NOT pg_catalog.has_table_privilege('onceward.' || needed.name, needed.right)
UNION ALL
SELECT 'INSERT (' || name || ') on outbox' FROM unnest(ARRAY['message_id', 'topic', 'key', 'type', 'payload', 'headers']) AS needed (name)
 WHERE NOT pg_catalog.has_column_privilege('onceward.outbox', name, 'INSERT')
UNION ALL
SELECT 'EXECUTE on function ' || name FROM unnest(ARRAY['slot()', 'is_topic(text)', 'is_message_type(text)', 'headers_error(jsonb)', 'lent_transaction()']) AS needed (name)
 WHERE NOT pg_catalog.has_function_privilege('onceward.' || name, 'EXECUTE')
