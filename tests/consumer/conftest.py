"""The fixtures of the consumer's tests."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.consumer.support import Books


@pytest.fixture
def books(database: Database) -> Iterator[Books]:
    books = Books(database.engine, database.participant_url)
    yield books
    books.engine.dispose()
