-- Messages that were refused again, or that line up behind one that was.
UPDATE onceward.held_message m SET hold_id = again.hold_id, state = again.state, error = coalesce(again.error, m.error)
  FROM unnest(%(ids)s::bigint[], %(holds)s::uuid[], %(states)s::text[], %(errors)s::text[]) AS again (id, hold_id, state, error)
 WHERE m.id = again.id
