-- A tiny synchronous commit: flushes all WAL before it, and so every asynchronous commit that is visible already.
SELECT pg_catalog.pg_logical_emit_message(true, 'onceward', '')
