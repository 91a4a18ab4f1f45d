-- What is done next: nothing once it was stopped, or its owner may not act there any more.
SELECT r.item FROM onceward_console.statement_row r JOIN onceward_console.statement s ON s.id = r.statement_id
 WHERE r.statement_id = %(id)s AND r.item IS NOT NULL AND r.outcome IS NULL AND s.stopped_at IS NULL
   AND onceward_console.may(s.person_id, s.participant, 'act')
 ORDER BY r.line LIMIT %(limit)s
