"""A full ledger: how long what workers, people and the relay ask takes, when it holds a million calls.

Each question is asked in a transaction that is rolled back, so that every run finds the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import Engine, create_engine

from onceward.database import psycopg_url, sqlalchemy_url
from onceward_relay.bench.questions import BANK, Question, questions
from onceward_relay.bench.result import Figure, Result, Tell, significant
from onceward_relay.bench.stage import PREFIX, Connection, checkpoint, connect, prepare, sql

PARTS = ("flows", "calls", "attempts", "incidents", "evidence", "decisions", "signals")
"""What is written, in this order."""
TABLES = ("flow", "call", "attempt", "incident", "evidence", "resolution", "signal")
CASES = {"median": "median, ms", "slowest": "95 of 100 within, ms", "blocks": "blocks of 8 KB"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    database: str
    calls: int
    """Half of them in flows of one call each."""
    incidents: int
    """Open ones, about as many calls that are not settled. Closed are four times as many."""
    runs: int


def measure(plan: Plan, tell: Tell) -> Result:
    """Fill the ledger, ask each question again and again, and empty it."""
    version = prepare(plan.database)
    with connect(psycopg_url(plan.database)) as owner, filled(owner, plan.calls, plan.incidents, tell):
        engine = create_engine(sqlalchemy_url(plan.database))
        asked = questions(*newest(owner))
        found = {name: _measured(engine, question, plan.runs) for name, question in asked.items()}
        engine.dispose()
    for name, figures in found.items():
        tell(f"{name}: {figures['median']} ms, {figures['blocks']} blocks")
    cases: Mapping[str, Mapping[str, Figure]] = {
        case: {name: figures[key] for name, figures in found.items()} for key, case in CASES.items()
    }
    settings = {"calls": plan.calls, "incidents": plan.incidents, "runs": plan.runs}
    return Result("full-ledger", settings, {name: name for name in asked}, cases, version, needs_kafka=False)


@contextmanager
def filled(owner: Connection, calls: int, incidents: int, tell: Tell = lambda _: None) -> Iterator[None]:
    """Fill the ledger of a database, let the server learn of that, and empty it at the end."""
    owner.execute(sql("raw_operation"), {"provider": BANK})
    numbers = {"prefix": PREFIX, "calls": calls, "flows": calls // 2, "incidents": incidents}
    try:
        for part in PARTS:
            tell(f"writing {part}")
            owner.execute(sql(f"fill_{part}"), numbers)
        for table in TABLES:
            owner.execute(f"VACUUM ANALYZE onceward.{table}")
        checkpoint(owner)
        yield
    finally:
        owner.execute(sql("forget_ledger"))


def newest(owner: Connection) -> tuple[str, str]:
    """Return the ids of the newest call of a flow, and of its flow."""
    row = owner.execute(sql("newest_call")).fetchone()
    assert row is not None
    return str(row[0]), str(row[1])


def _measured(engine: Engine, question: Question, runs: int) -> dict[str, float | int | None]:
    times = []
    with engine.connect() as connection:
        for _ in range(runs):
            began = perf_counter()
            question.ask(connection).fetchall()
            times.append((perf_counter() - began) * 1000)
            connection.rollback()
        blocks, _ = question.cost(connection)
        connection.rollback()
    times.sort()
    middle, late = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]
    return {"median": significant(middle), "slowest": significant(late), "blocks": blocks}
