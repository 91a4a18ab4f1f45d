"""The fixtures of the consumer's tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.consumer.support import Books


@pytest.fixture
def books(database: Any) -> Iterator[Books]:
    books = Books(database.engine, database.participant_url)
    yield books
    books.engine.dispose()
