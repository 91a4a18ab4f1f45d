"""Participant: what the outbox costs the participant's own transactions, with the relay running beside them.

One side inserts the outbox's row into a plain table of the same columns, and no relay runs; the other inserts it into
the outbox, and the relay carries it to Kafka meanwhile. A third, with no relay, tells what of the difference is the
table's. They take turns.
"""

import time
from collections import defaultdict
from dataclasses import dataclass

from onceward_relay.bench import BenchError
from onceward_relay.bench.children import run
from onceward_relay.bench.result import Figure, Result, Tell, middle
from onceward_relay.bench.stage import (
    KEYS,
    PATIENCE,
    Connection,
    Servers,
    connect,
    fresh_topic,
    prepare,
    relay_of,
    tables,
)
from onceward_relay.bench.topics import end_offsets

FIGURES = {
    "outbox": "with outbox and relay, transactions/s",
    "alone": "with outbox, no relay, transactions/s",
    "bare": "bare insert, transactions/s",
    "outbox_to_bare": "with outbox and relay ÷ bare",
    "alone_to_bare": "with outbox, no relay ÷ bare",
    "outbox_p99": "with outbox, p99, ms",
    "bare_p99": "bare, p99, ms",
    "lag": "its last message in Kafka after its last commit, s",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    clients: tuple[int, ...]
    seconds: float
    """Length of each run of each side."""
    runs: int
    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one side."""

    rate: float
    p99: float
    lag: float | None = None
    """Seconds after the last commit until the relay had carried all messages to Kafka."""


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure each number of clients, the sides in turn, run after run."""
    version = prepare(plan.servers.database)
    cases = {}
    with connect(plan.servers.url) as eye, tables(eye):
        for clients in plan.clients:
            samples: dict[str, list[Sample]] = defaultdict(list)
            for number in range(1, plan.runs + 1):
                sides = [("bare", bare), ("outbox", outbox), ("alone", alone)]
                for name, side in sides if number % 2 else reversed(sides):
                    samples[name].append(sample := side(plan, eye, clients))
                    tell(f"{clients} clients, run {number} of {plan.runs}, {name}: {sample.rate:,.0f} transactions/s")
            cases["1 client" if clients == 1 else f"{clients} clients"] = figures(samples)
    settings = {
        "clients": plan.clients,
        "seconds": plan.seconds,
        "runs": plan.runs,
        "size": plan.size,
    }
    return Result("participant", settings, FIGURES, cases, version)


def figures(samples: dict[str, list[Sample]]) -> dict[str, Figure]:
    """Return the medians; of the ratio over the pairs."""

    def to_bare(name: str) -> Figure:
        return middle([one.rate / bare.rate for one, bare in zip(samples[name], samples["bare"], strict=True)])

    return {
        "outbox_to_bare": to_bare("outbox"),
        "alone_to_bare": to_bare("alone"),
        "lag": middle([sample.lag for sample in samples["outbox"]]),
        **{name: middle([sample.rate for sample in each]) for name, each in samples.items()},
        **{f"{name}_p99": middle([sample.p99 for sample in samples[name]]) for name in ("outbox", "bare")},
    }


def bare(plan: Plan, eye: Connection, clients: int) -> Sample:
    """Measure inserts into a plain table."""
    done = _transactions(plan, "bare_insert", "onceward-bench-none", clients)
    eye.execute("TRUNCATE onceward_bench.plain")
    return Sample(done["transactions"] / plan.seconds, done["p99"])


def alone(plan: Plan, eye: Connection, clients: int) -> Sample:
    """Measure inserts into the outbox while no relay runs."""
    done = _transactions(plan, "outbox_insert", "onceward-bench-none", clients)
    eye.execute("TRUNCATE onceward.outbox")
    return Sample(done["transactions"] / plan.seconds, done["p99"])


def outbox(plan: Plan, eye: Connection, clients: int) -> Sample:
    """Measure inserts into the outbox, with the relay running."""
    servers = plan.servers
    with fresh_topic(servers.kafka) as topic, relay_of(servers.kafka, servers.url):
        done = _transactions(plan, "outbox_insert", topic, clients)
        lag = _carried(servers, topic, done["transactions"])
    eye.execute("TRUNCATE onceward.outbox")
    return Sample(done["transactions"] / plan.seconds, done["p99"], lag)


def _carried(servers: Servers, topic: str, messages: float) -> float:
    """Wait until all messages are in Kafka; return the seconds it took."""
    began = time.monotonic()
    while (arrived := end_offsets(servers.kafka, topic)) < messages:
        if time.monotonic() - began > PATIENCE / 10:
            raise BenchError(f"{messages} messages were committed and {arrived} are in Kafka")
    return time.monotonic() - began


def _transactions(plan: Plan, statement: str, topic: str, clients: int) -> dict[str, float]:
    return run(
        "clients",
        database=plan.servers.url,
        statement=statement,
        topic=topic,
        clients=clients,
        seconds=plan.seconds,
        size=plan.size,
        keys=KEYS,
    )
