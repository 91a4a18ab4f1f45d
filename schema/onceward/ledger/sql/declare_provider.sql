INSERT INTO onceward.provider (name) VALUES (:name) ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp()
