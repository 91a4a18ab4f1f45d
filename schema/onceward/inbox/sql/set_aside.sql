INSERT INTO onceward.inbox_parked
  (consumer, message_id, topic, partition, "offset", key, payload, headers, record_time, record_hash, state, error, attempts,
   next_try)
VALUES
  (:consumer, :message_id, :topic, :partition, :offset, :key, :payload, CAST(:headers AS jsonb), :record_time, :record_hash,
   :state, :error, :attempts, clock_timestamp() + make_interval(secs => :retry_seconds))
ON CONFLICT (consumer, topic, partition, "offset", record_hash) DO NOTHING
RETURNING seq
