-- A report is also about the call under whose reference a late answer accepted it.

CREATE INDEX evidence_late ON onceward.evidence (provider, left(reference, 200)) WHERE kind = 'late_answer';
