-- The lease is this session: the server ends it when it is silent for idle_session_timeout, and the lock goes with it.
SET idle_session_timeout = '15s';
SET idle_in_transaction_session_timeout = '10s';
SET statement_timeout = '60s';
SET tcp_user_timeout = '15s';
SET client_connection_check_interval = '1s';
SET default_transaction_isolation = 'read committed';
SET synchronous_commit = on;
SET client_encoding = 'UTF8';
SET TimeZone = 'UTC';
SET search_path = pg_catalog;
-- Every query of the relay is made for an index. These keep stale statistics from choosing otherwise.
SET enable_seqscan = off;
SET jit = off;
