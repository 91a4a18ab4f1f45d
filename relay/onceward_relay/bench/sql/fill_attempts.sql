-- An attempt of each call.
INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, began_at, send_by, ended_at, verdict, detail)
SELECT c.id, 1, 'send', 1, 'bench', 'merchant-1', c.created_at, c.created_at + interval '5 s', CASE WHEN c.settled_at IS NOT NULL THEN c.settled_at END,
       CASE c.state WHEN 'succeeded' THEN 'applied' WHEN 'failed' THEN 'rejected' WHEN 'cancelled' THEN 'not_sent' END, 'took effect'
  FROM onceward.call c
