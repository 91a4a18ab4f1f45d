-- Decisions of one state, or those that are open, the oldest first, page after page by the last that was seen.
SELECT r.* FROM onceward.resolution_shown r
 WHERE CASE WHEN %(state)s::text IS NULL THEN r.state IN ('proposed', 'approved') ELSE r.state = %(state)s END
   AND (%(batch)s::uuid IS NULL OR r.batch_id = %(batch)s)
   AND (%(after_at)s::timestamptz IS NULL OR (r.proposed_at, r.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid))
 ORDER BY r.proposed_at, r.id LIMIT %(limit)s
