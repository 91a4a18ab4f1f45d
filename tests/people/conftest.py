"""The fixture of the tests of what people decide."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database, fresh_database
from tests.people.desk import Desk
from tests.servers.postgres import TestServer


@pytest.fixture(scope="module")
def shared_database(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of a module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def desk(shared_database: Database) -> Iterator[Desk]:
    """A desk whose tables are empty, but for the bank's operations."""
    desk = Desk(shared_database)
    yield desk
    desk.close()
