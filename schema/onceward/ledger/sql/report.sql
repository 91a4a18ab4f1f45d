SELECT onceward.report(:provider, CAST(:key AS text), CAST(:reference AS text), CAST(:applied AS boolean), CAST(:body AS bytea), :evidence_id)
