"""What every benchmark stands on: a database of its own, a topic of its own, and the real relay process."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from onceward.database import psycopg_url
from onceward.errors import OncewardError, SchemaError
from onceward.migrations import install
from onceward.sqlfiles import statement
from onceward_relay.bench.topics import make_topic, remove_topic

PREFIX = "onceward-bench-"
PARTITIONS = 6
KEYS = 1000
PATIENCE = 600.0
"""Seconds for which a run may take."""


class BenchError(OncewardError):
    """The benchmark cannot run, or the relay did not do its work."""


def prepare(url: str) -> None:
    """Install the schema into an empty database; refuse one that holds anybody's messages.

    Raises:
        BenchError: the outbox holds messages that no benchmark wrote.

    """
    try:
        install(url)
    except SchemaError as error:
        raise BenchError(str(error)) from error
    with connect(psycopg_url(url)) as connection:
        row = connection.execute(sql("foreign_rows"), {"prefix": PREFIX}).fetchone()
        if row is not None and row[0]:
            raise BenchError("the outbox holds messages that no benchmark wrote; name an empty database")


@contextmanager
def fresh_topic(kafka: str) -> Iterator[str]:
    """Make a topic, and remove it at the end."""
    name = f"{PREFIX}{uuid4().hex[:12]}"
    make_topic(kafka, name, PARTITIONS)
    try:
        yield name
    finally:
        remove_topic(kafka, name)


@contextmanager
def relay_of(url: str, kafka: str, *, until: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon as a user would, and wait until its log says `until`."""
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
                while until not in log.read_text():
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise BenchError(f"the relay did not start:\n{log.read_text()}")
                    time.sleep(0.05)
                yield process
            finally:
                process.terminate()
                process.wait()


def connect(url: str) -> "psycopg.Connection[Any]":
    """Connect, each statement a transaction of its own."""
    return psycopg.connect(url, autocommit=True)


def sql(name: str) -> str:
    """Return a benchmark's SQL statement."""
    return statement("onceward_relay.bench", name)
