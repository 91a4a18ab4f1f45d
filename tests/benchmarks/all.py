"""Every scenario on servers of its own, and the page made from it: `python -m tests.benchmarks.all`.

Writes docs/benchmarks/results.json, the pictures beside it, and the tables of BENCHMARKS.md. With --only it measures
some scenarios and leaves the figures of the others as they are.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from onceward_relay.bench import calls, drain, held, idle, inbox, long_writer, memory, participant, steady
from onceward_relay.bench.result import Result, Tell
from onceward_relay.bench.stage import Servers
from tests.benchmarks import debezium, page
from tests.benchmarks.servers import own_servers

SHORT, QUICK, MODEST, FULL = LENGTHS = ("short", "quick", "modest", "full")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    messages: int
    """Of a drained backlog."""
    sizes: tuple[int, ...]
    runs: int
    seconds: float
    """Of a steady rate, of a number of clients, of an idle relay."""
    rates: tuple[int, ...]
    rate: int
    """Of what is measured beside a held snapshot or a long writer."""
    held: float
    """Seconds for which a snapshot is held."""
    clients: tuple[int, ...]
    sources: tuple[int, ...]
    inbox: int
    waiting: int
    """Messages that wait while the relay's memory is watched."""
    calls: int


EXTENTS = {
    SHORT: Extent(2000, (300,), 1, 2, (0, 200), 200, 2, (1, 4), (1, 3), 1000, 5000, 40),
    QUICK: Extent(
        300_000, (100, 300, 1000), 3, 10, (0, 100, 1000, 5000), 2000, 20, (1, 8, 32), (1, 200), 30_000, 1_000_000, 3000,
    ),
    MODEST: Extent(
        200_000, (100, 300, 1000, 10_000), 5, 20, (0, 100, 1000, 5000, 20_000), 2000, 60, (1, 8, 32), (1, 200), 100_000,
        1_000_000, 3000,
    ),
    FULL: Extent(
        1_000_000, (100, 300, 1000, 10_000), 5, 30, (0, 100, 1000, 5000, 20_000), 2000, 1800, (1, 8, 32), (1, 200),
        300_000, 10_000_000, 10_000,
    ),
}  # fmt: skip
"""`full` is what the project's targets speak of."""
SIZE = 300
BESIDE_HELD = 120.0
"""Seconds at most before a snapshot is held, and after."""


def _measured(extent: Extent, servers: Servers) -> Mapping[str, Callable[[Tell], Result]]:
    """Return how each scenario is measured."""
    e, s = extent, servers
    few = min(e.runs, 3)
    return {
        "drain": lambda tell: drain.measure(
            drain.Plan(s, e.messages, e.sizes, e.runs, e.runs > 1, exactly_once=True), tell
        ),
        "steady": lambda tell: steady.measure(steady.Plan(s, e.rates, e.seconds, SIZE), tell),
        "held": lambda tell: held.measure(held.Plan(s, e.rate, min(e.held, BESIDE_HELD), e.held, SIZE), tell),
        "long-writer": lambda tell: long_writer.measure(long_writer.Plan(s, e.rate, e.seconds, few, SIZE), tell),
        "idle": lambda tell: idle.measure(idle.Plan(s, e.sources, e.seconds), tell),
        "participant": lambda tell: participant.measure(
            participant.Plan(s, e.clients, e.seconds / 2, e.runs, SIZE), tell
        ),
        "inbox": lambda tell: inbox.measure(
            inbox.Plan(s.database, s.kafka, e.inbox, (0, 1, 100), 4, e.runs, SIZE), tell
        ),
        "calls": lambda tell: calls.measure(calls.Plan(s.database, e.calls, e.clients, e.runs), tell),
        "memory": lambda tell: memory.measure(memory.Plan(s, e.waiting, SIZE), tell),
        "debezium": lambda tell: debezium.measure(debezium.Plan(s, e.messages, SIZE, few), tell),
    }


SCENARIOS = tuple(_measured(EXTENTS[SHORT], Servers("", "")))


def document(result: Result, shared: str) -> dict[str, Any]:
    """Return a result as it is kept: with the command, the day, and the versions of what ran beside."""
    found = result.document()
    others = {"Kafka": _version("tests/servers/pom.xml", r"<kafka.version>(.*?)<")}
    if result.scenario == "debezium":
        others["Debezium"] = _version(
            "tests/benchmarks/pom.xml", r"debezium-connector-postgres</artifactId><version>(.*?)<"
        )
    found["machine"] |= {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "others": others,
        "shared": f", {shared}" if shared else "",
    }
    return found


def _version(file: str, pattern: str) -> str:
    found = re.search(pattern, (page.ROOT / file).read_text())
    assert found is not None
    return found[1]


@click.command()
@click.option("--extent", type=click.Choice(LENGTHS), default=MODEST, show_default=True, help="How much is measured.")
@click.option("--only", type=click.Choice(SCENARIOS), multiple=True, help="Measure these alone; again for more.")
@click.option("--note", default="", help="What the page says of the machine besides, as: shared with other work.")
@click.option("--root", type=click.Path(path_type=Path, exists=True), default=page.ROOT, help="Where BENCHMARKS.md is.")
def main(*, extent: str, only: tuple[str, ...], note: str, root: Path) -> None:
    """Measure every scenario on servers of its own, and make BENCHMARKS.md's tables and pictures from it."""
    with own_servers() as servers:
        for name, measured in _measured(EXTENTS[extent], servers).items():
            if only and name not in only:
                continue
            began = time.monotonic()
            click.echo(f"== {name}", err=True)
            result = measured(lambda line: click.echo(f"  {line}", err=True))
            page.write(page.keep({name: document(result, note)}, root), root)
            click.echo(f"  {time.monotonic() - began:.0f} s", err=True)


if __name__ == "__main__":
    main()
