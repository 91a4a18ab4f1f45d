-- How many transactions ago this database was last frozen whole; at 2,100 million PostgreSQL stops taking writes.
SELECT age(datfrozenxid) FROM pg_catalog.pg_database WHERE datname = current_database()
