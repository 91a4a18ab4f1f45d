SELECT version, state FROM onceward.call WHERE id = %(id)s
