SELECT * FROM onceward.incident WHERE id = %(id)s
