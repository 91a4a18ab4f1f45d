-- What people did about something.
SELECT no, at, actor, db_role, action, reason, body FROM onceward.audit WHERE (subject_kind, subject) = (%(kind)s, %(id)s::text) ORDER BY no
