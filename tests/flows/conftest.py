"""The fixture of the flows' tests."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.conftest import Database, fresh_database
from tests.flows.support import ANSWERS, Payer
from tests.servers.postgres import TestServer


@pytest.fixture(scope="module")
def shared_database(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of a module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def empty_tables(shared_database: Database) -> Database:
    """The shared database, whose tables are empty."""
    with shared_database.engine.begin() as connection:
        tables = "flow, signal, inbox, inbox_parked, inbox_hold, outbox"
        names = ", ".join(f"onceward.{table}" for table in tables.split(", "))
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
        connection.execute(text("DROP TABLE IF EXISTS booked"))
    return shared_database


@pytest.fixture
def payer(empty_tables: Database) -> Iterator[Payer]:
    """The participant "payer", whose tables are empty."""
    payer = Payer(empty_tables)
    yield payer
    payer.engine.dispose()


@pytest.fixture
def waiter(empty_tables: Database) -> Iterator[Payer]:
    """The same, and its flow listens to answers."""
    payer = Payer(empty_tables, listen=[ANSWERS])
    yield payer
    payer.engine.dispose()


@pytest.fixture
def own_payer(database: Database) -> Iterator[Payer]:
    """The same in a database that the test may break."""
    payer = Payer(database)
    yield payer
    payer.engine.dispose()
