INSERT INTO onceward.evidence (id, call_id, provider, key, reference, kind, says, body, body_sha256, by_actor, handled_at)
VALUES (:id, :call_id, :provider, :key, :reference, 'late_answer', :says, :body, sha256(CAST(:body AS bytea)), :by, clock_timestamp())
ON CONFLICT DO NOTHING
