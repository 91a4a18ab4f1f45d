INSERT INTO onceward.operation (provider, name, repeat, key_lifetime, replays, rejects_final, lookup, settle_delay, timeout, moves_value, undo, expect_within, code_version,
  shown, request_schema, result_schema)
VALUES (:provider, :name, :repeat, :key_lifetime, :replays, :rejects_final, :lookup, :settle_delay, :timeout, :moves_value, :undo, :expect_within, :code_version,
  :shown, :request_schema, :result_schema)
ON CONFLICT (provider, name) DO UPDATE SET repeat = excluded.repeat, key_lifetime = excluded.key_lifetime, replays = excluded.replays,
  rejects_final = excluded.rejects_final, lookup = excluded.lookup, settle_delay = excluded.settle_delay, timeout = excluded.timeout,
  moves_value = excluded.moves_value, undo = excluded.undo, expect_within = excluded.expect_within, code_version = excluded.code_version,
  shown = excluded.shown, request_schema = excluded.request_schema, result_schema = excluded.result_schema, seen_at = clock_timestamp()
