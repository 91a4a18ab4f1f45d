-- Decisions of one state, page after page.

CREATE INDEX resolution_listed ON onceward.resolution (state, proposed_at, id);
