SELECT version, state FROM onceward.flow WHERE id = %(id)s
