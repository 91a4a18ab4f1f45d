-- How the relay gets on with this outbox, and its slots.
SELECT f.*, (SELECT json_agg(json_build_object('part', s.part, 'current', s.current, 'bytes', s.bytes, 'blockers', s.blockers) ORDER BY s.part) FROM onceward.slots() s) AS slots
  FROM onceward.source_figures() f
