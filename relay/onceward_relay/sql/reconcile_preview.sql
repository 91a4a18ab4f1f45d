-- What reconciling would do.
SELECT onceward.reconcile_preview() AS found, clock_timestamp() AS now
