-- A hold in which nothing waits is over. Skipped messages keep their copies.
WITH empty AS (
  SELECT hold_id FROM onceward.hold h
   WHERE hold_id = %(hold)s AND NOT EXISTS (SELECT FROM onceward.held_message m WHERE m.hold_id = h.hold_id AND m.state <> 'skipped')
), kept AS (
  UPDATE onceward.held_message m SET hold_id = NULL FROM empty WHERE m.hold_id = empty.hold_id
)
SELECT count(*) FROM empty
