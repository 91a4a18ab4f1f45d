"""The fixture of the flows' tests."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.conftest import Database, fresh_database
from tests.flows.support import Payer
from tests.servers.postgres import TestServer


@pytest.fixture(scope="module")
def shared_database(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of a module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def payer(shared_database: Database) -> Iterator[Payer]:
    """The participant "payer", whose tables are empty."""
    with shared_database.engine.begin() as connection:
        tables = "onceward.flow, onceward.inbox, onceward.inbox_parked, onceward.inbox_hold, onceward.outbox"
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))
        connection.execute(text("DROP TABLE IF EXISTS booked"))
    payer = Payer(shared_database)
    yield payer
    payer.engine.dispose()


@pytest.fixture
def own_payer(database: Database) -> Iterator[Payer]:
    """The same in a database that the test may break."""
    payer = Payer(database)
    yield payer
    payer.engine.dispose()
