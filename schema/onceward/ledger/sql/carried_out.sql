SELECT onceward.carried_out(:id, :state, :outcome, :worker)
