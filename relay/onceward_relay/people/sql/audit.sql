SELECT no, at, actor, db_role, action, subject_kind, subject, reason, body, hash FROM onceward.audit
 WHERE (%(actor)s::text IS NULL OR actor = %(actor)s) AND (%(action)s::text IS NULL OR action = %(action)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)
 ORDER BY no DESC LIMIT %(limit)s
