SELECT f.id, f.name, f.key, f.state, f.version FROM onceward.flow f WHERE f.id = :id FOR UPDATE
