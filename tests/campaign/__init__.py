"""Faults at random, under load, from a seed: `python -m tests.campaign --minutes 2 --seed 1`.

Relays, consumers and writers are processes of their own, over real PostgreSQL servers and a real Apache Kafka. A
campaign has rounds: faults for a while, all of them healed, all messages drained within a bound, and the checker.
"""
