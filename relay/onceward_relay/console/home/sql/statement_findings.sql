SELECT finding, count(*) AS rows, count(item) AS items, count(*) FILTER (WHERE refused) AS refused, count(*) FILTER (WHERE NOT refused) AS done
  FROM onceward_console.statement_row WHERE statement_id = %(id)s GROUP BY finding
