INSERT INTO onceward.worker (name, code_version, flows, providers, resting) VALUES (:name, :code_version, :flows, :providers, :resting)
ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp(), code_version = excluded.code_version, flows = excluded.flows,
  providers = excluded.providers, resting = excluded.resting, started_at = CASE WHEN :begins THEN clock_timestamp() ELSE worker.started_at END
