-- The last sign of life of any worker: each of them carries decisions out.
SELECT w.name, w.seen_at, clock_timestamp() AS now FROM onceward.worker w ORDER BY w.seen_at DESC LIMIT 1
