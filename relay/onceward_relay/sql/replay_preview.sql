-- What a replay would send again. A time that is given as so many seconds ago is counted by the server's clock.
SELECT onceward.replay_preview(
         coalesce(%(since)s::timestamptz, now() - make_interval(secs => %(since_ago)s::double precision)),
         coalesce(%(until)s::timestamptz, now() - make_interval(secs => coalesce(%(until_ago)s::double precision, 0))),
         %(topic)s::text, %(key)s::bytea) AS found
