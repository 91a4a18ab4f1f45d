"""A steady rate: one process writes, another reads, and how old each message is when it comes.

The age counts from just before the INSERT is sent, so it holds the commit, the relay and the broker, and is never less
than what a user would see between commit and consumer.
"""

import time

from onceward_relay.bench import BenchError
from onceward_relay.bench.children import started
from onceward_relay.bench.machine import cpu_seconds
from onceward_relay.bench.result import Figure, significant
from onceward_relay.bench.stage import KEYS, Relay, Servers
from onceward_relay.bench.writer import CONNECTIONS, TRANSACTION

WARM_UP = 5.0
"""Seconds for which a new relay, a new topic and a young broker are given work before anything is measured."""
FIGURES = {
    "messages": "messages",
    "rate": "messages/s",
    "p50": "age at the consumer, p50, ms",
    "p99": "age, p99, ms",
    "max": "age, max, ms",
    "commit_p50": "of that the commit, p50, ms",
    "commit_p99": "the commit, p99, ms",
    "relay_cpu": "relay, % of a core",
}


def at_rate(servers: Servers, relay: Relay, topic: str, *, rate: int, seconds: float, size: int) -> dict[str, Figure]:
    """Write at `rate` messages a second while `relay` runs, and return the figures.

    Raises:
        BenchError: not all that was written came.

    """
    share = CONNECTIONS * TRANSACTION
    messages = max(2, round(rate * seconds / share)) * share
    reading = {"kafka": servers.kafka, "topic": topic, "messages": messages, "patience": seconds * 3 + 30}
    writing = {"database": servers.url, "topic": topic, "rate": rate, "messages": messages, "size": size, "keys": KEYS}
    with started("reader", reading) as reader:
        reader.wait_ready()
        cpu, began = cpu_seconds(relay.pid), time.monotonic()
        with started("writer", writing) as writer:
            written = writer.result()
        read = reader.result()
        took = time.monotonic() - began
    if read["read"] != messages:
        raise BenchError(f"{messages} messages were written and {read['read']} came")
    found = {
        "messages": messages,
        "rate": messages / read["seconds"],
        "relay_cpu": (cpu_seconds(relay.pid) - cpu) / took * 100,
        **{name: read[name] for name in ("p50", "p99", "max")},
        **{name: written[name] for name in ("commit_p50", "commit_p99")},
    }
    return {name: value if name == "messages" else significant(value) for name, value in found.items()}


def warm_up(servers: Servers, relay: Relay, topic: str, *, rate: int, seconds: float, size: int) -> None:
    """Write at `rate` messages a second for a few seconds, at most `seconds`, and measure nothing."""
    at_rate(servers, relay, topic, rate=rate, seconds=min(WARM_UP, seconds), size=size)


def ratio(found: dict[str, Figure], before: dict[str, Figure], name: str) -> Figure:
    """Return a figure as a multiple of what it was before."""
    new, old = found[name], before[name]
    assert isinstance(new, int | float)
    assert isinstance(old, int | float)
    return significant(new / old)
