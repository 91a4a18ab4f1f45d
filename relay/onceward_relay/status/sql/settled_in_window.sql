-- How many rows were settled between two checkpoints of one open window.
SELECT count(*) FILTER (WHERE here)
  FROM (SELECT pg_catalog.pg_visible_in_snapshot(xid, {s2}) AND NOT pg_catalog.pg_visible_in_snapshot(xid, {s1}) AS here
          FROM onceward.outbox WHERE id > {first_id} AND id <= {last_id} ORDER BY id LIMIT {limit}) looked_at
