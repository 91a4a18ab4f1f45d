SELECT line, cells, finding, why, call_id, about, item ->> 'verb' AS verb, item -> 'result' AS result, refused, outcome
  FROM onceward_console.statement_row
 WHERE statement_id = %(id)s AND line > %(after)s AND (%(finding)s::text IS NULL OR finding = %(finding)s) ORDER BY line LIMIT %(limit)s
