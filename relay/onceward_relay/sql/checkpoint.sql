INSERT INTO onceward.checkpoint (epoch, seq, s1, s2, last_id, timeline, system_id,
  page, confirmed, planned_s1, planned_s2, planned_last_id, planned_aside, release_hold, release_to)
SELECT %(epoch)s, %(seq)s, %(s1)s::pg_snapshot, %(s2)s::pg_snapshot, %(last_id)s, %(timeline)s, %(system_id)s,
  %(page)s::bigint, %(confirmed)s::boolean, %(planned_s1)s::pg_snapshot, %(planned_s2)s::pg_snapshot, %(planned_last_id)s::bigint,
  %(planned_aside)s::bigint[], %(release_hold)s::uuid, %(release_to)s::bigint
  FROM pg_catalog.set_config('synchronous_commit', %(synchronous)s, true)
