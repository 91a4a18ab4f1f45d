"""Held: a snapshot is held open while messages keep coming, as by a forgotten session or a long report.

Vacuum cannot take away any row that died meanwhile, so whatever updates or deletes its rows gets slower and slower.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from onceward_relay.bench import paced
from onceward_relay.bench.result import Figure, Result, Tell
from onceward_relay.bench.stage import Connection, Relay, Servers, connect, fresh_topic, prepare, relay_of, sql

FIGURES = {
    **paced.FIGURES,
    "rate_to_before": "throughput ÷ before",
    "p99_to_before": "p99 ÷ before",
    "dead_outbox": "dead rows in the outbox",
    "dead_checkpoint": "dead checkpoints",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    rate: int
    """Messages a second."""
    seconds: float
    """Length of the phases before and after."""
    held: float
    """Seconds for which the snapshot is held."""
    size: int


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure the same rate before a snapshot is held, while one is held, and after."""
    version, servers = prepare(plan.servers.database), plan.servers
    cases = {}
    with (
        fresh_topic(servers.kafka) as topic,
        relay_of(servers.kafka, servers.url) as relay,
        connect(servers.url) as eye,
    ):
        paced.warm_up(servers, relay, topic, rate=plan.rate, seconds=plan.seconds, size=plan.size)
        tell("before")
        cases["before"] = before = _phase(plan, plan.seconds, relay, topic, eye)
        with snapshot_held(servers.url):
            tell("while a snapshot is held")
            cases["held"] = _beside(before, _phase(plan, plan.held, relay, topic, eye))
        tell("after")
        cases["after"] = _beside(before, _phase(plan, plan.seconds, relay, topic, eye))
        eye.execute("TRUNCATE onceward.outbox")
    settings = {"rate": plan.rate, "seconds": plan.seconds, "held": plan.held, "size": plan.size}
    return Result("held", settings, FIGURES, cases, version)


@contextmanager
def snapshot_held(url: str) -> Iterator[None]:
    """Hold a snapshot open in a transaction of its own."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield
        connection.rollback()


def _phase(plan: Plan, seconds: float, relay: Relay, topic: str, eye: Connection) -> dict[str, Figure]:
    found = paced.at_rate(plan.servers, relay, topic, rate=plan.rate, seconds=seconds, size=plan.size)
    row = eye.execute(sql("dead_rows")).fetchone()
    assert row is not None
    return {**found, "dead_outbox": row[0], "dead_checkpoint": row[1]}


def _beside(before: dict[str, Figure], found: dict[str, Figure]) -> dict[str, Figure]:
    return {
        **found,
        "rate_to_before": paced.ratio(found, before, "rate"),
        "p99_to_before": paced.ratio(found, before, "p99"),
    }
