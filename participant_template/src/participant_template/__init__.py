"""Takes orders, has them paid by an outside API, and tells the others over Kafka."""
