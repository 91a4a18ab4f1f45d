SELECT kind, name FROM onceward.rotation_blockers(%(part)s::smallint)
