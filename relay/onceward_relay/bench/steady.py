"""Steady: how old a message is when its consumer has it, at a steady rate, and after the relay was idle.

The age counts from just before the INSERT is sent, so it holds the commit, the relay and the broker, and is never less
than what a user would see between commit and consumer.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from onceward.database import psycopg_url
from onceward_relay.bench.cpu import cpu_seconds
from onceward_relay.bench.stage import KEYS, BenchError, connect, fresh_topic, relay_of, sql
from onceward_relay.bench.topics import reader
from onceward_relay.bench.writer import CONNECTIONS, TRANSACTION

IDLE = 2.0
"""Seconds for which nothing is written before a message that meets an idle relay: longer than it stays awake."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    database: str
    kafka: str
    rates: tuple[int, ...]
    """Messages a second; 0 is one message at a time to an idle relay."""
    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Ages in milliseconds at one rate, and the CPU that the relay took meanwhile, in percent of a core."""

    rate: int
    messages: int
    p50: float
    p99: float
    max: float
    relay_cpu: float
    commit_p50: float
    commit_p99: float
    """How long the participant's own transactions took, which is part of the ages, in milliseconds."""


def measure(plan: Plan, tell: Callable[[str], None]) -> list[Sample]:
    """Measure each rate, one after the other, with one relay."""
    url = psycopg_url(plan.database)
    samples = []
    with fresh_topic(plan.kafka) as topic, relay_of(url, plan.kafka, until='"source taken over') as relay:
        for rate in plan.rates:
            tell(f"{rate:,} messages a second" if rate else "an idle relay")
            cpu, began = cpu_seconds(relay.pid), time.monotonic()
            result = _at_rate(plan, url, topic, rate) if rate else _idle(plan, url, topic)
            used = (cpu_seconds(relay.pid) - cpu) / (time.monotonic() - began) * 100
            samples.append(Sample(rate, relay_cpu=round(used, 1), **result))
            with connect(url) as connection:
                connection.execute("TRUNCATE onceward.outbox")
    return samples


def _at_rate(plan: Plan, url: str, topic: str, rate: int) -> dict[str, Any]:
    share = CONNECTIONS * TRANSACTION
    messages = max(1, round(rate * plan.seconds / share)) * share
    task = {"database": url, "topic": topic, "rate": rate, "seconds": plan.seconds, "size": plan.size, "keys": KEYS}
    with _process("reader") as reading:
        _give(reading, {"kafka": plan.kafka, "topic": topic, "messages": messages, "patience": plan.seconds * 3 + 30})
        assert reading.stdout is not None
        reading.stdout.readline()  # it is ready
        with _process("writer") as writing:
            _give(writing, task)
            written = _result(writing)
        read = _result(reading)
    if read["read"] != messages:
        raise BenchError(f"{messages} messages were written and {read['read']} came")
    ages = {name: round(read[name], 1) for name in ("p50", "p99", "max")}
    return {"messages": messages, **ages, **{name: round(written[name], 1) for name in ("commit_p50", "commit_p99")}}


def _idle(plan: Plan, url: str, topic: str) -> dict[str, Any]:
    """One message at a time, each after a silence. The first only makes the topic known and does not count."""
    ages, commits = [], []
    with reader(plan.kafka, topic) as next_values, connect(url) as connection:
        for turn in range(max(3, int(plan.seconds / IDLE))):
            time.sleep(IDLE + random.random() / 5)  # noqa: S311 -- only out of step with the relay's own clock
            row = {"topic": topic, "size": plan.size, "keys": KEYS, "messages": 1, "turn": turn}
            began = time.time_ns()
            connection.execute(sql("write"), {**row, "stamp": f"{began:020}"})
            commits.append((time.time_ns() - began) / 1e6)
            while not next_values(0.1):
                pass
            ages.append((time.time_ns() - began) / 1e6)
    age, commit = (quantiles(each[1:], n=100, method="inclusive") for each in (ages, commits))
    figures = {"p50": age[49], "p99": age[98], "max": max(ages[1:]), "commit_p50": commit[49], "commit_p99": commit[98]}
    return {"messages": len(ages) - 1, **{name: round(value, 1) for name, value in figures.items()}}


@contextmanager
def _process(name: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", f"onceward_relay.bench.{name}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _give(process: "subprocess.Popen[str]", task: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(task))
    process.stdin.close()


def _result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    text = process.stdout.read()
    if process.wait():
        raise BenchError("a process of the benchmark failed; see above")
    result: dict[str, Any] = json.loads(text)
    return result
