"""Servers that need no installation: PostgreSQL from a wheel, and a stand-in for Kafka. For the demo and for tests."""
