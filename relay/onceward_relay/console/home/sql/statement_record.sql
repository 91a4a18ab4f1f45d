UPDATE onceward_console.statement_row r SET refused = o.refused, outcome = o.outcome
  FROM unnest(%(lines)s::int[], %(refused)s::boolean[], %(outcomes)s::text[]) AS o (line, refused, outcome)
 WHERE r.statement_id = %(id)s AND r.line = o.line
