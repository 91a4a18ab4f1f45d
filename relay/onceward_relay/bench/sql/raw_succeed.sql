UPDATE onceward.call SET state = 'succeeded', result = %(result)s, provider_ref = 'paid', due_at = NULL, settled_at = clock_timestamp(), settled_by = 'answer',
  version = version + 1
 WHERE id = %(id)s AND settled_at IS NULL
