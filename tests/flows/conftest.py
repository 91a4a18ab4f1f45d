"""The fixture of the flows' tests."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.flows.support import Payer


@pytest.fixture
def payer(database: Database) -> Iterator[Payer]:
    payer = Payer(database)
    yield payer
    payer.engine.dispose()
