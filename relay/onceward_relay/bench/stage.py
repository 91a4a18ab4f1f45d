"""What every scenario stands on: a database of its own, a topic of its own, a load, and the real relay process."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy.exc import DBAPIError

from onceward.database import address, psycopg_url
from onceward.errors import SchemaError
from onceward.migrations import install
from onceward.sqlfiles import statement
from onceward_relay.bench import BenchError
from onceward_relay.bench.topics import make_topic, remove_topic
from onceward_relay.embedded.guard import Guard
from onceward_relay.session import sql as relay_sql

PREFIX = "onceward-bench-"
PARTITIONS = 6
KEYS = 1000
PATIENCE = 3600.0
"""Seconds that a run may take."""
START_PATIENCE = 120.0
"""Seconds within which the relay must be up, and one more for each source."""
TRANSACTION = 1000
"""Messages of one transaction of a loaded backlog."""
TAKEN_OVER = '"source taken over'
STANDS_BY = '"standing by"'
"""What the relay's log says when it has the lease, and when another has it."""
TROUBLE = '"level": "error"'
"""What an error in its log has."""

Connection = psycopg.Connection[Any]


class Relay:
    """The daemon, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_for(self, text: str, times: int) -> None:
        """Wait until its log says `text` so many times."""
        deadline = time.monotonic() + START_PATIENCE + times
        while self._log.read_text().count(text) < times:
            if time.monotonic() > deadline:
                raise BenchError(f"the relay did not start:\n{self._log.read_text()[-4000:]}")
            self.check()
            time.sleep(0.05)

    def check(self) -> None:
        """Raise BenchError if it has ended or met an error: what is measured then is not its work."""
        log = self._log.read_text()
        if self._process.poll() is not None or TROUBLE in log:
            raise BenchError(f"the relay failed:\n{log[-4000:]}")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a benchmark runs."""

    database: str
    """URL of a database that holds nobody's messages."""
    kafka: str
    """Bootstrap servers."""

    @property
    def url(self) -> str:
        """The database for psycopg."""
        return psycopg_url(self.database)


def prepare(database: str) -> str:
    """Install the schema into an empty database, and return the server's version.

    Raises:
        BenchError: outbox, inbox or ledger hold what no benchmark wrote, or the database refuses.

    """
    try:
        install(database)
        with connect(psycopg_url(database)) as connection:
            row = connection.execute(sql("foreign_rows"), {"prefix": PREFIX}).fetchone()
            version = connection.execute("SHOW server_version").fetchone()
    except SchemaError as error:
        raise BenchError(str(error)) from error
    except (psycopg.Error, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise BenchError(f"--database {address(database)}: {' '.join(str(reason).split())}") from error
    if row is not None and row[0]:
        raise BenchError(
            f"--database {address(database)}: its outbox, inbox or ledger holds what no benchmark wrote;"
            " name an empty database"
        )
    return str(version[0]) if version else ""


@contextmanager
def fresh_topic(kafka: str) -> Iterator[str]:
    """Make a topic, and remove it at the end."""
    name = f"{PREFIX}{uuid4().hex[:12]}"
    make_topic(kafka, name, PARTITIONS)
    try:
        yield name
    finally:
        remove_topic(kafka, name)


def load(connection: Connection, topic: str, messages: int, size: int) -> str:
    """Fill the outbox with a backlog, and return the newest transaction of it.

    The payloads are of random bytes, which PostgreSQL cannot compress.
    """
    connection.execute("TRUNCATE onceward.outbox")
    row = {"topic": topic, "keys": KEYS, "size": size, "bytes": os.urandom(size + KEYS)}
    for first in range(0, messages, TRANSACTION):
        last = min(first + TRANSACTION, messages) - 1
        connection.execute(sql("load"), {**row, "first": first, "last": last})
    connection.execute("VACUUM ANALYZE onceward.outbox")
    checkpoint(connection)
    newest = connection.execute("SELECT xid::text FROM onceward.outbox ORDER BY xid DESC LIMIT 1").fetchone()
    assert newest is not None
    return str(newest[0])


def forget(connection: Connection) -> None:
    """Empty the outbox and forget how far relays have got in it: a relay of another mode and name begins anew."""
    connection.execute("TRUNCATE onceward.outbox, onceward.checkpoint, onceward.ownership")


def checkpoint(connection: Connection) -> None:
    """Let the server write its dirty pages now rather than in the middle of a run, if the role may ask for that."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")


@contextmanager
def tables(connection: Connection) -> Iterator[None]:
    """Make the tables that stand beside the outbox, in a schema of their own, and drop it at the end."""
    connection.execute("DROP SCHEMA IF EXISTS onceward_bench CASCADE")
    connection.execute(sql("tables"))
    try:
        yield
    finally:
        connection.execute("DROP SCHEMA onceward_bench CASCADE")


@contextmanager
def lease_on(url: str) -> Iterator[Connection]:
    """Own a source in the relay's place, until the connection that this gives is closed.

    Raises:
        BenchError: another relay owns it.

    """
    with connect(url) as lease:
        deadline = time.monotonic() + 20
        while not (row := lease.execute(relay_sql("try_lock")).fetchone()) or not row[0]:
            if time.monotonic() > deadline:
                raise BenchError(f"--database {address(url)}: another relay owns this source")
            time.sleep(0.1)
        yield lease


@contextmanager
def relay_of(
    kafka: str, *urls: str, until: str = TAKEN_OVER, name: str = "bench", source: Mapping[str, str] | None = None
) -> Iterator[Relay]:
    """Run the daemon as a user would, for the databases `urls`, and wait until its log says `until` of each."""
    sources = {
        f"ONCEWARD_SOURCE__{name.upper()}{number}__{setting.upper()}": value
        for number, url in enumerate(urls)
        for setting, value in {"database": url, **(source or {})}.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder, "relay.toml"), Path(folder, "log")
        config.write_text(f'[kafka]\n"bootstrap.servers" = "{kafka}"\n[relay]\nhttp_port = 0\nlog_format = "json"\n')
        command = [sys.executable, "-m", "onceward_relay", "relay", "run", "--config", str(config)]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, env={**os.environ, **sources}, stdout=output, stderr=output) as process,
        ):
            guard = Guard(process.pid, signal.SIGKILL)
            try:
                relay = Relay(process, log)
                relay.wait_for(until, len(urls))
                yield relay
            finally:
                process.terminate()
                process.wait()
                guard.release()


def backend_of(connection: Connection) -> int | None:
    """Return the process id of the backend that serves the relay of this database."""
    row = connection.execute(sql("owner")).fetchone()
    return None if row is None else int(row[0])


def drained(connection: Connection, relay: Relay, newest: str, meanwhile: Callable[[], object] = lambda: None) -> float:
    """Wait until a checkpoint covers the transaction `newest`; return the seconds since the relay took over.

    Meanwhile calls `meanwhile` twenty times a second.

    Raises:
        BenchError: the relay failed, or did not get there.

    """
    deadline = time.monotonic() + PATIENCE
    while True:
        row = connection.execute(sql("progress"), {"newest": newest}).fetchone()
        if row is not None and row[0] is not None:
            return float(row[0])
        meanwhile()
        relay.check()
        if time.monotonic() > deadline:
            raise BenchError("the relay did not drain the outbox in time")
        time.sleep(0.05)


def connect(url: str) -> Connection:
    """Connect, each statement a transaction of its own."""
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


def sql(name: str) -> str:
    """Return a benchmark's SQL statement."""
    return statement("onceward_relay.bench", name)
