-- Entries of the audit, the newest first, page after page by their number.
SELECT a.no, a.at, a.actor, a.db_role, a.action, a.subject_kind, a.subject, a.reason, a.body
  FROM onceward.audit a
 WHERE (%(actor)s::text IS NULL OR a.actor = %(actor)s) AND (%(action)s::text IS NULL OR a.action = %(action)s) AND (%(subject)s::text IS NULL OR a.subject = %(subject)s)
   AND (%(before)s::bigint IS NULL OR a.no < %(before)s)
 ORDER BY a.no DESC LIMIT %(limit)s
