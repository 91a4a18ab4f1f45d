SELECT line, cells FROM onceward_console.statement_row WHERE statement_id = %(id)s ORDER BY line
