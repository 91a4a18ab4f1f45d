-- What is visible now, how far WAL must be flushed until all of it is durable, and whether it holds new rows. Writes nothing and takes no transaction id.
CALL onceward.wait_for_rows(%(since)s, %(patience)s, %(nap)s, NULL, NULL, NULL)
