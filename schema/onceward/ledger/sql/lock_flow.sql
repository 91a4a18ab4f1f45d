SELECT f.id, f.name, f.key, f.state, f.version, f.trace FROM onceward.flow f WHERE f.id = :id FOR UPDATE
