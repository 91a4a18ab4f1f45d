-- Keeps others from claiming the flow, and from telling it something, until this transaction ends; no row if the claim is lost.
-- Whoever is frozen in this transaction keeps the flow from everybody: PostgreSQL ends it after five minutes without a statement.
SELECT signals,
       set_config('idle_in_transaction_session_timeout',
         CASE WHEN CAST(current_setting('idle_in_transaction_session_timeout') AS interval) BETWEEN interval '1 millisecond' AND interval '5 min'
              THEN current_setting('idle_in_transaction_session_timeout') ELSE '5min' END, true)
  FROM onceward.flow WHERE id = :id AND epoch = :epoch AND state = 'running' FOR NO KEY UPDATE
