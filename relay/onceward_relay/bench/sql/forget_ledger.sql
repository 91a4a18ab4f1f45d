TRUNCATE onceward.call, onceward.attempt, onceward.flow, onceward.flow_step, onceward.signal CASCADE
