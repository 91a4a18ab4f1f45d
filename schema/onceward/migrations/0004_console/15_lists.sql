-- What is rare among millions is found without looking at the others.

CREATE INDEX call_without_effect ON onceward.call (state, created_at) WHERE state IN ('failed', 'cancelled');
CREATE INDEX flow_given_up ON onceward.flow (state, created_at) WHERE state IN ('undone', 'closed');
