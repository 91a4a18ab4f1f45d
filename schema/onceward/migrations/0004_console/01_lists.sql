-- Lists that people look at, page after page, however long the tables get.

CREATE INDEX call_newest ON onceward.call (created_at, id);
CREATE INDEX flow_newest ON onceward.flow (created_at, id);
CREATE INDEX incident_ref ON onceward.incident (ref) WHERE closed_at IS NULL AND ref IS NOT NULL;
