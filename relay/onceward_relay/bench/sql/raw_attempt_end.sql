UPDATE onceward.attempt SET ended_at = clock_timestamp(), verdict = 'applied', detail = 'took effect' WHERE call_id = %(id)s AND no = 1
