WITH provider AS (INSERT INTO onceward.provider (name) VALUES (%(provider)s) ON CONFLICT DO NOTHING)
INSERT INTO onceward.operation (provider, name, repeat, timeout, request_schema, result_schema)
VALUES (%(provider)s, 'pay', 'never', '1 s', '{}', '{}') ON CONFLICT DO NOTHING
