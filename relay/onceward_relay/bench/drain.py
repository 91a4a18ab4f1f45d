"""Drain: a loaded outbox, carried to Kafka by the real relay, beside the raw client with the same messages.

Runs take turns, so that both see the same machine. The relay's time is the database's: from its take-over to the
checkpoint that covers the last message.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg

from onceward.database import psycopg_url
from onceward.errors import OncewardError, SchemaError
from onceward.migrations import install
from onceward.sqlfiles import statement
from onceward_relay.bench.cpu import backend_cpu_seconds, cpu_seconds
from onceward_relay.kafka import end_offsets, make_topic, remove_topic
from onceward_relay.session import sql as relay_sql

PREFIX = "onceward-bench-"
PARTITIONS = 6
KEYS = 1000
TRANSACTION = 1000
"""Messages of one transaction of the load."""
PATIENCE = 600.0
"""Seconds for which a run may take."""


class BenchError(OncewardError):
    """The benchmark cannot run, or the relay did not do its work."""


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


def prepare(url: str) -> None:
    """Install the schema into an empty database; refuse one that holds anybody's messages.

    Raises:
        BenchError: the outbox holds messages that no benchmark wrote.

    """
    try:
        install(url)
    except SchemaError as error:
        raise BenchError(str(error)) from error
    with _connect(psycopg_url(url)) as connection:
        row = connection.execute(_sql("foreign_rows"), {"prefix": PREFIX}).fetchone()
        if row is not None and row[0]:
            raise BenchError("the outbox holds messages that no benchmark wrote; name an empty database")


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
    with _topic(plan) as topic:
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
        _topic(plan) as topic,
        psycopg.connect(url, autocommit=True) as lease,
        psycopg.connect(url, autocommit=True) as eye,
    ):
        _take(lease)
        eye.execute("TRUNCATE onceward.outbox")
        for first in range(0, plan.messages, TRANSACTION):
            last = min(first + TRANSACTION, plan.messages) - 1
            eye.execute(_sql("load"), {"topic": topic, "keys": KEYS, "size": plan.size, "first": first, "last": last})
        eye.execute("VACUUM ANALYZE onceward.outbox")
        eye.execute("CHECKPOINT")
        with _relay(url, plan.kafka) as process:
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


@contextmanager
def _topic(plan: Plan) -> Iterator[str]:
    name = f"{PREFIX}{uuid4().hex[:12]}"
    make_topic(plan.kafka, name, PARTITIONS)
    try:
        yield name
    finally:
        remove_topic(plan.kafka, name)


@contextmanager
def _relay(url: str, kafka: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon as a user would, and wait until it stands by."""
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder, "relay.toml"), Path(folder, "log")
        config.write_text(f'[kafka]\n"bootstrap.servers" = "{kafka}"\n[relay]\nhttp_port = 0\nlog_format = "json"\n')
        command = [sys.executable, "-m", "onceward_relay", "relay", "run", "--config", str(config)]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, env={**os.environ, "ONCEWARD_SOURCE__BENCH__DATABASE": url}, stdout=output, stderr=output
            ) as process,
        ):
            try:
                deadline = time.monotonic() + 30
                while '"standing by"' not in log.read_text():
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise BenchError(f"the relay did not start:\n{log.read_text()}")
                    time.sleep(0.05)
                yield process
            finally:
                process.terminate()
                process.wait()


def _watch(eye: "psycopg.Connection[Any]", process: "subprocess.Popen[bytes]") -> tuple[float, float | None]:
    """Wait until all is drained; return the seconds it took, and the CPU seconds of the relay's backend."""
    deadline = time.monotonic() + PATIENCE
    before = None
    while True:
        row = eye.execute(_sql("progress")).fetchone()
        assert row is not None
        began, ended = row
        before = before or began
        if ended is not None and began is not None and ended > began:
            break
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("the relay ended, or did not drain the outbox in time")
        time.sleep(0.05)
    owner = eye.execute(_sql("owner")).fetchone()
    backend = backend_cpu_seconds(owner[0], eye.info.dbname) if owner else None
    return (ended - began).total_seconds(), backend


def _connect(url: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(url, autocommit=True)


def _sql(name: str) -> str:
    return statement("onceward_relay.bench", name)
