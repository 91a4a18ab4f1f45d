SELECT * FROM onceward_console.bulk_item
 WHERE bulk_id = %(id)s AND no > %(behind)s AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY no LIMIT %(limit)s
