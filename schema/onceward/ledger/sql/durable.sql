SELECT onceward.durable(), onceward.history_lost_since() AS lost_since
