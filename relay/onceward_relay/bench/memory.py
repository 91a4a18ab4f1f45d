"""Memory: how much the relay takes while it drains a large backlog, and whether that grows."""

import time
from dataclasses import dataclass
from statistics import linear_regression, median

from onceward_relay.bench.machine import memory, peak_memory
from onceward_relay.bench.result import Result, Tell, significant
from onceward_relay.bench.stage import (
    STANDS_BY,
    Servers,
    connect,
    drained,
    fresh_topic,
    lease_on,
    load,
    prepare,
    relay_of,
)

FIGURES = {
    "before": "standing by, MiB",
    "median": "while draining, median, MiB",
    "peak": "most, MiB",
    "growth": "growth in the second half, MiB per million messages",
    "rate": "messages/s",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    messages: int
    size: int


def measure(plan: Plan, tell: Tell) -> Result:
    """Load the backlog, and look at the relay's memory all the while it drains it."""
    version, servers = prepare(plan.servers.database), plan.servers
    samples: list[tuple[float, float]] = []
    with fresh_topic(servers.kafka) as topic, connect(servers.url) as eye:
        tell(f"loading {plan.messages:,} messages")
        newest = load(eye, topic, plan.messages, plan.size)
        with lease_on(servers.url) as lease, relay_of(servers.kafka, servers.url, until=STANDS_BY) as relay:
            before = memory(relay.pid)
            lease.close()
            tell("draining")
            seconds = drained(
                eye, relay, newest, meanwhile=lambda: samples.append((time.monotonic(), memory(relay.pid)))
            )
            peak = peak_memory(relay.pid)
        eye.execute("TRUNCATE onceward.outbox")
    found = {
        "before": before,
        "median": median(mib for _, mib in samples),
        "peak": peak,
        "growth": growth(samples, seconds / plan.messages * 1e6),
        "rate": plan.messages / seconds,
    }
    case = {name: significant(value) for name, value in found.items()}
    settings = {"messages": plan.messages, "size": plan.size}
    return Result("memory", settings, FIGURES, {f"{plan.messages:,} waiting": case}, version)


def growth(samples: list[tuple[float, float]], seconds_per_million: float) -> float | None:
    """Return the slope of the second half in MiB per million messages; None where there are too few samples."""
    half = samples[len(samples) // 2 :]
    if len(half) < 3:
        return None
    return linear_regression(*zip(*half, strict=True)).slope * seconds_per_million
