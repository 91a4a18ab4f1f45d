INSERT INTO onceward.provider (name, in_flight, per_second) VALUES (:name, :in_flight, :per_second)
ON CONFLICT (name) DO UPDATE SET in_flight = excluded.in_flight, per_second = excluded.per_second, seen_at = clock_timestamp()
