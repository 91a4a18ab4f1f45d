-- One flow, with what it waits for.
SELECT f.id, f.name, f.key, f.message_id, f.state, f.undoing, f.undo_reason, f.pivot_step, f.paused_at, f.due_at, f.worker, f.failures, f.error, f.code_version,
       f.resolution_id, f.purged_at, f.version, f.created_at, f.ended_at, clock_timestamp() AS now,
       (SELECT array_agg(open.step ORDER BY open.step)
          FROM (SELECT c.step FROM onceward.call c WHERE c.flow_id = f.id AND c.settled_at IS NULL
                UNION ALL SELECT s.step FROM onceward.flow_step_shown s WHERE s.flow_id = f.id AND s.waits) open) AS waits_for,
       (SELECT json_agg(v) FROM onceward.verbs_of_flow(f.id) v) AS verbs
  FROM onceward.flow f WHERE f.id = %(id)s
