INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, send_by)
VALUES (%(id)s, 1, 'send', 1, 'raw', 'default', clock_timestamp() + interval '5 s')
