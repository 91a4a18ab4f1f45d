"""The ledger under test, and a hand on its database's clock."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, Uuid, bindparam, text

from onceward.backoff import Backoff
from onceward.ledger import Ledger
from onceward.providers import Provider
from tests.conftest import Database, fresh_database
from tests.servers.postgres import TestServer

Make = Callable[..., Ledger]


def an_hour_each() -> Callable[[], float]:
    """A clock by which an hour passes between two looks: no rest that a provider is given lasts until the next."""
    return count(0.0, 3600.0).__next__


class Books:
    """Reads the ledger's tables, and lets time pass by moving what is written back."""

    def __init__(self, database: Database) -> None:
        self.engine = database.engine

    def call(self, call_id: UUID | None = None) -> Row[Any]:
        with self.engine.connect() as connection:
            query = "SELECT * FROM onceward.call WHERE id = coalesce(:id, id)"
            return connection.execute(text(query), {"id": call_id}).one()

    def call_by_key(self, key: str) -> Row[Any] | None:
        with self.engine.connect() as connection:
            return connection.execute(text("SELECT * FROM onceward.call WHERE key = :key"), {"key": key}).one_or_none()

    def attempts(self) -> list[tuple[str, str | None]]:
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT kind, verdict FROM onceward.attempt ORDER BY call_id, no"))
            return [(row.kind, row.verdict) for row in rows]

    def incidents(self, call_id: UUID | None = None) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT kind, title FROM onceward.incident"
                    " WHERE closed_at IS NULL AND (:id IS NULL OR call_id = :id) ORDER BY opened_at"
                ).bindparams(bindparam("id", call_id, Uuid))
            )
            return [(row.kind, row.title) for row in rows]

    def pass_time(self, time: timedelta) -> None:
        """Let `time` pass for every call that is not settled."""
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE onceward.call SET due_at = due_at - :time, first_sent_at = first_sent_at - :time,"
                    " send_by = send_by - :time, expect_by = expect_by - :time WHERE settled_at IS NULL"
                ),
                {"time": time},
            )
            connection.execute(text("UPDATE onceward.attempt SET began_at = began_at - :time"), {"time": time})


@pytest.fixture(scope="module")
def shared_database(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of a module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def emptied(shared_database: Database) -> Database:
    """The module's database, whose ledger is empty."""
    with shared_database.engine.begin() as connection:
        connection.execute(text("TRUNCATE onceward.provider, onceward.flow, onceward.incident CASCADE"))
    return shared_database


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


@pytest.fixture
def ledger_of(database: Database) -> Callable[[Provider[Any]], Ledger]:
    def make(provider: Provider[Any], worker: str = "worker", **more: Any) -> Ledger:
        retries = Backoff(timedelta(seconds=1), timedelta(minutes=5))
        options: dict[str, Any] = {"worker": worker, "retries": retries, "clock": an_hour_each()} | more
        ledger = Ledger(database.engine, "payer", [provider], **options)
        ledger.declare()
        return ledger

    return make
