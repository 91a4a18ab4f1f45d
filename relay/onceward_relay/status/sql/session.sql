-- Beside the relay's own settings: a count that ends early must not sort or hash everything first, and takes one process of the server.
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;
