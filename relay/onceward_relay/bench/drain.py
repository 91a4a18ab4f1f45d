"""Drain: a loaded outbox, carried to Kafka by the real relay, beside the raw client with the same messages.

Runs take turns, so that both see the same machine. The relay's time is the database's: from its take-over to the
checkpoint that covers the last message.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg

from onceward.database import psycopg_url
from onceward_relay.bench.cpu import backend_cpu_seconds, cpu_seconds
from onceward_relay.bench.stage import KEYS, PATIENCE, BenchError, connect, fresh_topic, relay_of, sql
from onceward_relay.bench.topics import end_offsets
from onceward_relay.session import sql as relay_sql

TRANSACTION = 1000
"""Messages of one transaction of the load."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    database: str
    kafka: str
    messages: int
    size: int
    runs: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one side."""

    messages: int
    seconds: float
    cpu: float
    database_cpu: float | None = None

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True)
class Report:
    """All runs: each of the raw client and the one of the relay beside it."""

    raw: list[Sample]
    relay: list[Sample]

    @property
    def ratio(self) -> float:
        """Relay's rate to raw rate, as the median over the pairs."""
        return median(relay.rate / raw.rate for raw, relay in zip(self.raw, self.relay, strict=True))

    def summary(self) -> dict[str, Any]:
        """Return medians, for printing."""
        return {"raw": _medians(self.raw), "relay": _medians(self.relay), "ratio": round(self.ratio, 3)}


def _medians(samples: list[Sample]) -> dict[str, float | None]:
    """CPU is given in seconds for a million messages."""
    database = [s.database_cpu / s.messages * 1e6 for s in samples if s.database_cpu is not None]
    return {
        "messages_per_second": round(median(s.rate for s in samples)),
        "cpu_seconds_per_million": round(median(s.cpu / s.messages * 1e6 for s in samples), 2),
        "database_cpu_seconds_per_million": round(median(database), 2) if len(database) == len(samples) else None,
    }


def measure(plan: Plan, tell: Callable[[str], None]) -> Report:
    """Run both sides in turn. The first pair only warms up and does not count."""
    raw: list[Sample] = []
    relay: list[Sample] = []
    for number in range(plan.runs + 1):
        tell("warming up" if not number else f"run {number} of {plan.runs}")
        pair = [(raw, measure_raw), (relay, measure_relay)]
        for samples, side in pair if number % 2 else reversed(pair):
            sample = side(plan)
            tell(f"  {side.__name__.removeprefix('measure_')}: {sample.rate:,.0f} messages/s, {sample.cpu:.1f} CPU s")
            if number:
                samples.append(sample)
    return Report(raw, relay)


def measure_raw(plan: Plan) -> Sample:
    """Measure the raw client in a process of its own."""
    with fresh_topic(plan.kafka) as topic:
        task = {
            "options": {"bootstrap.servers": plan.kafka},
            "topic": topic,
            "messages": plan.messages,
            "size": plan.size,
            "keys": KEYS,
        }
        command = [sys.executable, "-m", "onceward_relay.bench.raw"]
        done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the raw client failed:\n{done.stderr}")
        result = json.loads(done.stdout)
    return Sample(plan.messages, result["seconds"], result["cpu"])


def measure_relay(plan: Plan) -> Sample:
    """Measure `onceward relay run` draining a loaded outbox.

    While the load is written, this process holds the source's lease, so that the relay is up and stands by.
    """
    url = psycopg_url(plan.database)
    with (
        fresh_topic(plan.kafka) as topic,
        connect(url) as lease,
        connect(url) as eye,
    ):
        _take(lease)
        eye.execute("TRUNCATE onceward.outbox")
        for first in range(0, plan.messages, TRANSACTION):
            last = min(first + TRANSACTION, plan.messages) - 1
            eye.execute(sql("load"), {"topic": topic, "keys": KEYS, "size": plan.size, "first": first, "last": last})
        eye.execute("VACUUM ANALYZE onceward.outbox")
        eye.execute("CHECKPOINT")
        with relay_of(url, plan.kafka, until='"standing by"') as process:
            cpu = cpu_seconds(process.pid)
            lease.close()
            seconds, backend = _watch(eye, process)
            sample = Sample(plan.messages, seconds, cpu_seconds(process.pid) - cpu, backend)
        if (arrived := end_offsets(plan.kafka, topic)) != plan.messages:
            raise BenchError(f"{plan.messages} messages were committed and {arrived} are in Kafka")
        eye.execute("TRUNCATE onceward.outbox")
    return sample


def _take(lease: "psycopg.Connection[Any]") -> None:
    deadline = time.monotonic() + 20
    while not (row := lease.execute(relay_sql("try_lock")).fetchone()) or not row[0]:
        if time.monotonic() > deadline:
            raise BenchError("another relay owns this source")
        time.sleep(0.1)


def _watch(eye: "psycopg.Connection[Any]", process: "subprocess.Popen[bytes]") -> tuple[float, float | None]:
    """Wait until all is drained; return the seconds it took, and the CPU seconds of the relay's backend."""
    deadline = time.monotonic() + PATIENCE
    before = None
    while True:
        row = eye.execute(sql("progress")).fetchone()
        assert row is not None
        began, ended = row
        before = before or began
        if ended is not None and began is not None and ended > began:
            break
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("the relay ended, or did not drain the outbox in time")
        time.sleep(0.05)
    owner = eye.execute(sql("owner")).fetchone()
    backend = backend_cpu_seconds(owner[0], eye.info.dbname) if owner else None
    return (ended - began).total_seconds(), backend
