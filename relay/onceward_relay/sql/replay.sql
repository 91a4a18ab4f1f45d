-- A person lets messages be sent again that were sent before.
SELECT onceward.replay(
         coalesce(%(since)s::timestamptz, now() - make_interval(secs => %(since_ago)s::double precision)),
         coalesce(%(until)s::timestamptz, now() - make_interval(secs => coalesce(%(until_ago)s::double precision, 0))),
         %(actor)s, %(reason)s, %(topic)s::text, %(key)s::bytea) AS done
