-- Whoever is frozen in this transaction keeps the next owner of its partition waiting: PostgreSQL ends it after a while.
SELECT set_config('idle_in_transaction_session_timeout', :idle_limit, true)
 WHERE CAST(current_setting('idle_in_transaction_session_timeout') AS interval)
   NOT BETWEEN interval '1 millisecond' AND CAST(:idle_limit AS interval)
