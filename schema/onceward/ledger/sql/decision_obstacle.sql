SELECT onceward.decision_obstacle(:id)
