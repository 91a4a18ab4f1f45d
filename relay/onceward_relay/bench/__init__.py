"""Benchmarks: the relay's real process beside the raw client, on servers that you name."""
