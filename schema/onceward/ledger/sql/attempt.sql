INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, send_by)
VALUES (:id, :no, :kind, :epoch, :worker, :scope, clock_timestamp() + :send_window)
