-- How long until something automatic is next; NULL if nothing is.
SELECT min(due_at) - clock_timestamp() FROM (
  SELECT due_at FROM onceward.flow WHERE due_at IS NOT NULL AND paused_at IS NULL
  UNION ALL SELECT due_at FROM onceward.call WHERE due_at IS NOT NULL
  UNION ALL SELECT not_before FROM onceward.resolution WHERE state = 'approved') AS everything (due_at)
