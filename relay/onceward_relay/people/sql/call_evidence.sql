SELECT id, kind, says, reference, by_actor, at, encode(body_sha256, 'hex') AS body_sha256, body_sha256 IS NOT NULL AS has_body, purged_at
  FROM onceward.evidence WHERE call_id = %(id)s ORDER BY at
