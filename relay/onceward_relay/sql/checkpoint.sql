INSERT INTO onceward.checkpoint (epoch, seq, s1, s2, last_id, timeline, system_id)
SELECT %(epoch)s, %(seq)s, %(s1)s::pg_snapshot, %(s2)s::pg_snapshot, %(last_id)s, %(timeline)s, %(system_id)s
  FROM pg_catalog.set_config('synchronous_commit', %(synchronous)s, true)
