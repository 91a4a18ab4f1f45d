SELECT no, kind, worker, scope, began_at, ended_at, verdict, late, http_status, detail FROM onceward.attempt WHERE call_id = %(id)s ORDER BY no
