SELECT onceward.look_at_history(:worker, :send_window)
