"""Drain: a loaded outbox, carried to Kafka by the real relay, beside the raw client with the same messages.

Beside it stand two bounds: the raw client without headers, and PostgreSQL's own COPY of the rows, next to the relay's
reading alone. All of a size take turns, so that all see the same machine. The relay's time is the database's: from its
take-over to the checkpoint that covers the last message.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onceward_relay.bench import BenchError
from onceward_relay.bench.children import run
from onceward_relay.bench.copying import copy, way
from onceward_relay.bench.machine import backend_cpu_seconds, cpu_seconds, peak_memory
from onceward_relay.bench.result import Figure, Result, Tell, middle
from onceward_relay.bench.stage import (
    KEYS,
    PARTITIONS,
    STANDS_BY,
    Connection,
    Servers,
    backend_of,
    connect,
    drained,
    forget,
    fresh_topic,
    lease_on,
    load,
    prepare,
    relay_of,
)
from onceward_relay.bench.topics import committed, end_offsets

ONCE = {
    "once": "relay, exactly once, messages/s",
    "once_to_relay": "exactly once ÷ at least once",
    "once_cpu": "exactly once, CPU s per million",
}
FIGURES = {
    "relay": "relay, messages/s",
    "raw": "raw produce, same headers, messages/s",
    "bare": "raw produce, no headers, messages/s",
    "relay_to_raw": "relay ÷ raw",
    "relay_to_bare": "relay ÷ raw without headers",
    "relay_cpu": "relay, CPU s per million",
    "raw_cpu": "raw, CPU s per million",
    "bare_cpu": "raw without headers, CPU s per million",
    "database_cpu": "relay's database session, CPU s per million",
    "relay_peak": "relay, most memory, MiB",
    "fetch": "relay's reading alone, rows/s",
    "copy": "COPY, rows/s",
    "fetch_to_copy": "reading ÷ COPY",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    messages: int
    sizes: tuple[int, ...]
    """Bytes of a payload."""
    runs: int
    warm_up: bool = True
    """Whether a first run does not count."""
    exactly_once: bool = False
    """Whether a relay in exactly-once mode drains the same beside it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one side."""

    messages: int
    seconds: float
    cpu: float | None = None
    database_cpu: float | None = None
    peak: float | None = None

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    def per_million(self, seconds: float | None) -> float | None:
        """Return CPU seconds for a million messages."""
        return None if seconds is None else seconds / self.messages * 1e6


Samples = Mapping[str, list[Sample]]


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure each size: all sides in turn, run after run."""
    version = prepare(plan.servers.database)
    cases = {f"{size:,} bytes": figures(measure_size(plan, size, tell)) for size in plan.sizes}
    with connect(plan.servers.url) as connection:
        conditions = {"keys": KEYS, "partitions": PARTITIONS, "copy": way(connection)}
    settings: dict[str, Any] = {"messages": plan.messages, "size": plan.sizes, "runs": plan.runs}
    if plan.exactly_once:
        settings["delivery"] = "exactly_once"
    return Result("drain", settings, FIGURES | (ONCE if plan.exactly_once else {}), cases, version, conditions)


def measure_size(plan: Plan, size: int, tell: Tell) -> Samples:
    """Run all sides in turn, each run in the other direction than the one before."""
    sides: list[Callable[[Plan, int], Mapping[str, Sample]]] = [measure_bare, measure_raw, measure_relay]
    if plan.exactly_once:
        sides.append(measure_once)
    samples: dict[str, list[Sample]] = defaultdict(list)
    for number in range(0 if plan.warm_up else 1, plan.runs + 1):
        tell(f"{size:,} bytes, " + (f"run {number} of {plan.runs}" if number else "warming up"))
        for side in sides if number % 2 else reversed(sides):
            for name, sample in side(plan, size).items():
                tell(f"  {name}: {sample.rate:,.0f}/s")
                if number:
                    samples[name].append(sample)
    return samples


def figures(samples: Samples) -> dict[str, Figure]:
    """Return the medians; of the ratios over the runs, in which both sides stood beside each other."""

    def ratio(one: str, other: str) -> Figure:
        return middle([a.rate / b.rate for a, b in zip(samples[one], samples[other], strict=True)])

    relay = samples["relay"]
    once = {}
    if "once" in samples:
        cpu = middle([s.per_million(s.cpu) for s in samples["once"]])
        once = {"once_to_relay": ratio("once", "relay"), "once_cpu": cpu}
    return {
        **once,
        **{name: middle([s.rate for s in each]) for name, each in samples.items()},
        **{f"{name}_cpu": middle([s.per_million(s.cpu) for s in samples[name]]) for name in ("relay", "raw", "bare")},
        "relay_to_raw": ratio("relay", "raw"),
        "relay_to_bare": ratio("relay", "bare"),
        "fetch_to_copy": ratio("fetch", "copy"),
        "database_cpu": middle([s.per_million(s.database_cpu) for s in relay]),
        "relay_peak": middle([s.peak for s in relay]),
    }


def measure_raw(plan: Plan, size: int) -> dict[str, Sample]:
    """Measure the raw client with the relay's headers."""
    return {"raw": _produced(plan, size, headers=True)}


def measure_bare(plan: Plan, size: int) -> dict[str, Sample]:
    """Measure the raw client without headers."""
    return {"bare": _produced(plan, size, headers=False)}


def _produced(plan: Plan, size: int, *, headers: bool) -> Sample:
    options = {"bootstrap.servers": plan.servers.kafka}
    with fresh_topic(plan.servers.kafka) as topic:
        done = run("raw", options=options, topic=topic, messages=plan.messages, size=size, keys=KEYS, headers=headers)
    return Sample(plan.messages, done["seconds"], done["cpu"])


def measure_relay(plan: Plan, size: int) -> dict[str, Sample]:
    """Load the outbox; measure COPY of it, the relay's reading alone, and `onceward relay run` draining it."""
    with fresh_topic(plan.servers.kafka) as topic, connect(plan.servers.url) as eye:
        newest = load(eye, topic, plan.messages, size)
        samples = {"copy": Sample(plan.messages, copy(eye)), "fetch": _fetched(plan)}
        samples["relay"] = relayed(plan.servers, eye, plan.messages, newest)
        if (arrived := end_offsets(plan.servers.kafka, topic)) != plan.messages:
            raise BenchError(f"{plan.messages} messages were committed and {arrived} are in Kafka")
        eye.execute("TRUNCATE onceward.outbox")
    return samples


def measure_once(plan: Plan, size: int) -> dict[str, Sample]:
    """Load the outbox; measure a relay in exactly-once mode draining it, as a reader of committed messages sees it."""
    with fresh_topic(plan.servers.kafka) as topic, connect(plan.servers.url) as eye:
        newest = load(eye, topic, plan.messages, size)
        mode = {"delivery": "exactly_once", "pages_topic": topic}  # removed with the topic
        try:
            sample = relayed(plan.servers, eye, plan.messages, newest, name=topic.replace("-", "_"), source=mode)
        finally:
            forget(eye)  # else the next relay, of another name, finds pages that its group in Kafka does not know
        if (arrived := committed(plan.servers.kafka, topic)) != plan.messages:
            raise BenchError(f"{plan.messages} messages were committed and {arrived} are committed in Kafka")
    return {"once": sample}


def _fetched(plan: Plan) -> Sample:
    done = run("fetch", database=plan.servers.url)
    if done["rows"] != plan.messages:
        raise BenchError(f"{plan.messages} rows are in the outbox and {done['rows']} were read")
    return Sample(plan.messages, done["seconds"])


def relayed(
    servers: Servers,
    eye: Connection,
    messages: int,
    newest: str,
    *,
    name: str = "bench",
    source: Mapping[str, str] | None = None,
) -> Sample:
    """Measure the relay draining what is there. It is up, and stands by until the lease is let go."""
    started = relay_of(servers.kafka, servers.url, until=STANDS_BY, name=name, source=source)
    with lease_on(servers.url) as lease, started as process:
        cpu = cpu_seconds(process.pid)
        lease.close()
        seconds = drained(eye, process, newest)
        backend = backend_of(eye)
        database_cpu = None if backend is None else backend_cpu_seconds(backend, eye.info.dbname)
        return Sample(messages, seconds, cpu_seconds(process.pid) - cpu, database_cpu, peak_memory(process.pid))
