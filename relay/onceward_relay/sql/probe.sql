-- What is visible now, and how far WAL must be flushed until all of it is durable. Writes nothing and takes no transaction id.
SELECT snapshot, written FROM onceward.probe(%(since)s, make_interval(secs => %(patience)s), %(nap)s)
