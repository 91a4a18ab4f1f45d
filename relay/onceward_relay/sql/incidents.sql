-- What waits for a person, most severe and oldest first.
SELECT id, kind, call_id, flow_id, message_id, grp, severity, title, ref, amount, currency, opened_at, times, clock_timestamp() AS now
  FROM onceward.incident WHERE closed_at IS NULL ORDER BY severity, opened_at, id LIMIT %(limit)s
