"""Debezium beside the relay: the same rows of one outbox, drained by both in turn.

`python -m tests.benchmarks.debezium --messages N`. Debezium reads them from a replication slot that was made before
they were written. Its time and its CPU count from the first tenth of its records on, so that neither the start of Java
nor most of its compiling is held against it; the relay's count from its take-over.
"""

import json
import time
from collections import defaultdict
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from onceward_relay.bench import BenchError
from onceward_relay.bench.drain import Sample, relayed
from onceward_relay.bench.machine import cpu_seconds, peak_memory
from onceward_relay.bench.result import Figure, Result, Tell, middle
from onceward_relay.bench.stage import Connection, Servers, connect, fresh_topic, load, prepare
from onceward_relay.bench.topics import end_offsets
from tests.benchmarks.connect import PATIENCE, Running, Slot, connector
from tests.benchmarks.servers import own_servers

FIGURES = {
    "relay": "relay, messages/s",
    "debezium": "Debezium, messages/s",
    "relay_to_debezium": "relay ÷ Debezium",
    "relay_cpu": "relay, CPU s per million",
    "debezium_cpu": "Debezium, CPU s per million",
    "relay_database_cpu": "relay's database session, CPU s per million",
    "debezium_database_cpu": "Debezium's WAL sender, CPU s per million",
    "relay_peak": "relay, most memory, MiB",
    "debezium_peak": "Debezium, most memory, MiB",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    messages: int
    size: int
    runs: int


def measure(plan: Plan, tell: Tell) -> Result:
    """Let both drain the same rows, each run in the other order."""
    version = prepare(plan.servers.database)
    samples: dict[str, list[Sample]] = defaultdict(list)
    with connect(plan.servers.url) as eye:
        for number in range(1, plan.runs + 1):
            for name, sample in _run(plan, eye, relay_first=number % 2 == 0).items():
                samples[name].append(sample)
                tell(f"run {number} of {plan.runs}, {name}: {sample.rate:,.0f} messages/s, {sample.cpu:.1f} CPU s")
    settings = {"messages": plan.messages, "size": plan.size, "runs": plan.runs}
    cases = {f"{plan.size:,} bytes": _figures(samples)}
    return Result("debezium", settings, FIGURES, cases, version, program="python -m tests.benchmarks.debezium")


def _figures(samples: dict[str, list[Sample]]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for name, each in samples.items():
        found[name] = middle([s.rate for s in each])
        found[f"{name}_cpu"] = middle([s.per_million(s.cpu) for s in each])
        found[f"{name}_database_cpu"] = middle([s.per_million(s.database_cpu) for s in each])
        found[f"{name}_peak"] = middle([s.peak for s in each])
    pairs = zip(samples["relay"], samples["debezium"], strict=True)
    return {**found, "relay_to_debezium": middle([one.rate / other.rate for one, other in pairs])}


def _run(plan: Plan, eye: Connection, *, relay_first: bool) -> dict[str, Sample]:
    slot = Slot(eye)
    try:
        with fresh_topic(plan.servers.kafka) as topic:
            newest = load(eye, topic, plan.messages, plan.size)
            if relay_first:
                relay = relayed(plan.servers, eye, plan.messages, newest)
                debezium = streamed(plan, slot, topic, plan.messages)
            else:
                debezium = streamed(plan, slot, topic, 0)
                relay = relayed(plan.servers, eye, plan.messages, newest)
            if (arrived := end_offsets(plan.servers.kafka, topic)) != 2 * plan.messages:
                raise BenchError(f"{plan.messages} messages were committed and {arrived} came from both together")
    finally:
        slot.drop()
        eye.execute("TRUNCATE onceward.outbox")
    return {"relay": relay, "debezium": debezium}


def streamed(plan: Plan, slot: Slot, topic: str, before: int) -> Sample:
    """Measure Debezium, in a topic that holds `before` records."""
    with connector(plan.servers, slot) as process:
        first = _come(plan, process, topic, before + plan.messages // 10)
        began, cpu, sender = time.monotonic(), cpu_seconds(process.pid), slot.sender_cpu()
        _come(plan, process, topic, before + plan.messages)
        seconds, after = time.monotonic() - began, slot.sender_cpu()
        database_cpu = None if sender is None or after is None else after - sender
        counted = before + plan.messages - first
        return Sample(counted, seconds, cpu_seconds(process.pid) - cpu, database_cpu, peak_memory(process.pid))


def _come(plan: Plan, process: Running, topic: str, records: int) -> int:
    """Wait until the topic holds so many records; return how many it holds."""
    deadline = time.monotonic() + PATIENCE + plan.messages / 1000
    while (arrived := end_offsets(plan.servers.kafka, topic)) < records:
        process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{arrived} of {records} records came")
    return arrived


@click.command()
@click.option("--database", metavar="URL", help="An empty database, wal_level logical. Default: a server of our own.")
@click.option("--kafka", metavar="ADDRESS", help="Bootstrap servers. Default: a broker of our own.")
@click.option("--messages", type=click.IntRange(1000), default=200_000, show_default=True)
@click.option("--size", type=click.IntRange(0, 900_000), default=300, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(*, database: str | None, kafka: str | None, messages: int, size: int, runs: int, as_json: bool) -> None:
    """Measure the relay beside Debezium, on the same rows."""
    if (database is None) != (kafka is None):
        raise click.UsageError("name both --database and --kafka, or neither")

    def tell(line: str) -> None:
        click.echo(line, err=True)

    if database is not None and kafka is not None:
        result = measure(Plan(Servers(database, kafka), messages, size, runs), tell)
    else:
        with own_servers() as servers:
            result = measure(Plan(servers, messages, size, runs), tell)
    if as_json:
        click.echo(json.dumps(result.document(), indent=2))
        return
    headings, lines = result.table()
    table = Table(*headings)
    for line in lines:
        table.add_row(*line)
    Console().print(table)


if __name__ == "__main__":
    main()
