"""Idle: what a relay costs that has nothing to do, with one source and with many.

Each source is a database of its own, copied from one with the schema. PostgreSQL 18 tells what WAL the relay's sessions
write; what the whole server writes holds also what it writes by itself, as the case without a relay does.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from psycopg import sql as query
from sqlalchemy import make_url

from onceward.database import psycopg_url
from onceward.migrations import install
from onceward_relay.bench import BenchError
from onceward_relay.bench.machine import backend_cpu_seconds, cpu_seconds, memory
from onceward_relay.bench.result import Figure, Result, Tell, significant
from onceward_relay.bench.stage import Connection, Servers, checkpoint, connect, prepare, relay_of, sql
from onceward_relay.bench.topics import check

SETTLED = 20.0
"""Seconds that a relay is given before it is measured, in which it has looked once at all that it looks at (what reads
a row first may write that down); as long at most is waited until nothing writes WAL."""
FIGURES = {
    "relay_cpu": "relay, % of a core",
    "database_cpu": "its database sessions, % of a core",
    "session_wal": "WAL of its database sessions, bytes",
    "wal": "WAL of the whole server, bytes",
    "memory": "relay, memory, MiB",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    sources: tuple[int, ...]
    seconds: float
    """How long each number of sources is watched."""


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure the server alone, and the relay with each number of sources."""
    version, servers = prepare(plan.servers.database), plan.servers
    check(servers.kafka)
    with connect(servers.url) as eye, databases(servers, eye, max(plan.sources), tell) as urls:
        tell("no relay")
        settle(eye)
        cases: dict[str, dict[str, Figure]] = {"no relay": {"wal": _wal_of(eye, plan.seconds)}}
        for number in plan.sources:
            case = "1 source" if number == 1 else f"{number} sources"
            tell(case)
            cases[case] = _with_relay(plan, eye, urls[:number])
    return Result("idle", {"sources": plan.sources, "seconds": plan.seconds}, FIGURES, cases, version)


def _with_relay(plan: Plan, eye: Connection, urls: Sequence[str]) -> dict[str, Figure]:
    with relay_of(plan.servers.kafka, *urls) as relay:
        time.sleep(SETTLED)
        settle(eye)
        backends = eye.execute(sql("backends")).fetchall()
        session_wal = _session_wal(eye)
        began, cpu, backend_cpu = time.monotonic(), cpu_seconds(relay.pid), _cpu_of(backends)
        wal = _wal_of(eye, plan.seconds)
        seconds, after = time.monotonic() - began, _cpu_of(backends)
        database_cpu = None if after is None or backend_cpu is None else (after - backend_cpu) / seconds * 100
        return {
            "relay_cpu": significant((cpu_seconds(relay.pid) - cpu) / seconds * 100),
            "database_cpu": significant(database_cpu),
            "session_wal": None if session_wal is None else (_session_wal(eye) or 0) - session_wal,
            "wal": wal,
            "memory": significant(memory(relay.pid)),
        }


def _session_wal(eye: Connection) -> int | None:
    """Return the bytes of WAL that the relay's sessions have written; None where PostgreSQL does not tell."""
    if eye.info.server_version < 180000:
        return None
    row = eye.execute(sql("backend_wal")).fetchone()
    return None if row is None else int(row[0])


def _cpu_of(backends: Sequence[tuple[int, str]]) -> float | None:
    seconds = [backend_cpu_seconds(pid, database) for pid, database in backends]
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None


def settle(eye: Connection) -> None:
    """Wait until the server writes no WAL, at most a while: what others write is none of ours."""
    checkpoint(eye)
    deadline = time.monotonic() + SETTLED
    while _wal_of(eye, 1) and time.monotonic() < deadline:
        pass


def _wal_of(eye: Connection, seconds: float) -> int:
    """Return how many bytes of WAL the server writes in so many seconds."""
    began = eye.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    time.sleep(seconds)
    row = eye.execute("SELECT (pg_current_wal_insert_lsn() - %s::pg_lsn)::bigint", began).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def databases(servers: Servers, eye: Connection, number: int, tell: Tell) -> Iterator[list[str]]:
    """Make so many databases with the schema, beside the one that was named, and drop them at the end.

    Raises:
        BenchError: the server has no room for so many connections.

    """
    row = eye.execute(sql("room")).fetchone()
    if row is not None and row[0] < number + 5:
        raise BenchError(
            f"--sources {number}: the server has room for {row[0]} more connections and needs {number + 5};"
            " raise its max_connections, or measure fewer sources"
        )
    tell(f"making {number} databases")
    names = [f"onceward_bench_{uuid4().hex[:8]}_{i}" for i in range(number)]
    made: list[str] = []
    try:
        for name in names:
            _make(eye, servers, name, template=made[0] if made else None)
            made.append(name)
        yield [_beside(servers, name) for name in made]
    finally:
        for name in made:
            eye.execute(query.SQL("DROP DATABASE {} WITH (FORCE)").format(query.Identifier(name)))


def _make(eye: Connection, servers: Servers, name: str, template: str | None) -> None:
    statement = query.SQL("CREATE DATABASE {} TEMPLATE {}")
    eye.execute(statement.format(query.Identifier(name), query.Identifier(template or "template0")))
    if template is None:
        install(_beside(servers, name))


def _beside(servers: Servers, name: str) -> str:
    return psycopg_url(make_url(servers.url).set(database=name).render_as_string(hide_password=False))
