-- Dead rows that vacuum has not taken away, as the statistics know them: of the outbox, and of the checkpoints.
SELECT coalesce(sum(n_dead_tup) FILTER (WHERE relname LIKE 'outbox%'), 0)::bigint,
       coalesce(sum(n_dead_tup) FILTER (WHERE relname = 'checkpoint'), 0)::bigint
  FROM pg_stat_user_tables WHERE schemaname = 'onceward'
