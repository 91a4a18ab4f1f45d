"""Long writer: another transaction writes for a long time while messages keep coming. It must not delay them.

It begins before the others and stays open; it writes a plain table, or outbox rows as well, or it is prepared and
left. Its own messages come once it commits.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg

from onceward_relay.bench import BenchError, paced
from onceward_relay.bench.result import Figure, Result, Tell, medians
from onceward_relay.bench.stage import (
    PATIENCE,
    Connection,
    Relay,
    Servers,
    connect,
    fresh_topic,
    prepare,
    relay_of,
    sql,
    tables,
)
from onceward_relay.bench.topics import reader

EVERY = 0.01
"""Seconds between two rows of the long transaction."""
FIGURES = {
    **paced.FIGURES,
    "p50_to_alone": "p50 ÷ alone",
    "p99_to_alone": "p99 ÷ alone",
    "own": "messages of the long transaction",
    "own_after": "the last of them after its commit, ms",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    rate: int
    """Messages a second of the others."""
    seconds: float
    """Length of each case."""
    runs: int
    size: int


Ends = dict[str, float]
"""What a long transaction finds out at its end: {"own", "own_after"}, or nothing."""
Kind = Callable[[Plan, str], AbstractContextManager[Ends]]
Long = psycopg.Connection[Any]


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure the others' messages alone and beside each kind of long transaction, run after run."""
    version, servers = prepare(plan.servers.database), plan.servers
    found: dict[str, list[dict[str, Figure]]] = {}
    with (
        connect(servers.url) as eye,
        tables(eye),
        fresh_topic(servers.kafka) as topic,
        fresh_topic(servers.kafka) as own_topic,
        relay_of(servers.kafka, servers.url) as relay,
    ):
        paced.warm_up(servers, relay, topic, rate=plan.rate, seconds=plan.seconds, size=plan.size)
        kinds = _kinds(eye, tell)
        for number in range(1, plan.runs + 1):
            tell(f"run {number} of {plan.runs}: alone")
            alone = _at_rate(plan, relay, topic)
            found.setdefault("alone", []).append(alone)
            for kind, long in kinds.items():
                tell(f"run {number} of {plan.runs}: {kind}")
                with long(plan, own_topic) as ends:
                    others = _at_rate(plan, relay, topic)
                beside = {f"{name}_to_alone": paced.ratio(others, alone, name) for name in ("p50", "p99")}
                found.setdefault(kind, []).append({**others, **beside, **ends})
            eye.execute("TRUNCATE onceward.outbox")
    cases = {case: medians(runs) for case, runs in found.items()}
    settings = {"rate": plan.rate, "seconds": plan.seconds, "runs": plan.runs, "size": plan.size}
    return Result("long-writer", settings, FIGURES, cases, version)


def _at_rate(plan: Plan, relay: Relay, topic: str) -> dict[str, Figure]:
    return paced.at_rate(plan.servers, relay, topic, rate=plan.rate, seconds=plan.seconds, size=plan.size)


def _kinds(eye: Connection, tell: Tell) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        "long write": write,
        "long write of messages": write_messages,
        "prepared transaction": prepared,
    }
    row = eye.execute("SHOW max_prepared_transactions").fetchone()
    if row == ("0",):
        tell("no prepared transaction: the server's max_prepared_transactions is 0")
        del kinds["prepared transaction"]
    return kinds


@contextmanager
def write(plan: Plan, _: str) -> Iterator[Ends]:
    """Write a plain table in one long transaction."""
    with closing(psycopg.connect(plan.servers.url)) as connection, _writing(connection, plan):
        yield {}


@contextmanager
def write_messages(plan: Plan, topic: str) -> Iterator[Ends]:
    """Write messages in one long transaction, and wait for them after its commit."""
    ends: Ends = {}
    with (
        reader(plan.servers.kafka, topic) as next_values,
        closing(psycopg.connect(plan.servers.url)) as connection,
    ):
        with _writing(connection, plan, topic) as written:
            yield ends
        began = time.monotonic()
        connection.commit()
        ends |= _come(next_values, len(written), began)


@contextmanager
def prepared(plan: Plan, topic: str) -> Iterator[Ends]:
    """Leave a prepared transaction with a message in it, and wait for that after its commit."""
    ends: Ends = {}
    gid = f"onceward-bench-{uuid4().hex[:12]}"
    with reader(plan.servers.kafka, topic) as next_values, connect(plan.servers.url) as connection:
        with connection.transaction():
            _write_row(connection, plan, topic)
            connection.execute("SELECT 1")
            connection.execute(f"PREPARE TRANSACTION '{gid}'")
        try:
            yield ends
        finally:
            began = time.monotonic()
            connection.execute(f"COMMIT PREPARED '{gid}'")
        ends |= _come(next_values, 1, began)


@contextmanager
def _writing(connection: Long, plan: Plan, topic: str | None = None) -> Iterator[list[float]]:
    """Write row by row in an open transaction, by a thread; give the times of the rows so far."""
    done = Event()
    written: list[float] = []

    def keep_writing() -> None:
        while not written or not done.wait(EVERY):
            _write_row(connection, plan, topic)
            written.append(time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_writing)
        try:
            yield written
        finally:
            done.set()
        writing.result()


def _write_row(connection: Long, plan: Plan, topic: str | None) -> None:
    name = "bare_insert" if topic is None else "outbox_insert"
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(sql(name), ["onceward-bench-none" if topic is None else topic, b"long", b"x" * plan.size])


def _come(next_values: Callable[[float], list[bytes]], messages: int, since: float) -> Ends:
    """Wait for so many messages; return how many milliseconds after `since` the last came."""
    came = 0
    while came < messages:
        came += len(next_values(0.1))
        if time.monotonic() - since > PATIENCE / 10:
            raise BenchError(f"{messages} messages of the long transaction were committed and {came} came")
    return {"own": came, "own_after": (time.monotonic() - since) * 1000}
