"""Fixtures of the console's tests: a participant's database, the console's own, and a console that nobody logs in to."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database, fresh_database
from tests.console.running import Person, RunningConsole, running, settings_of
from tests.people.conftest import desk, shared_database  # noqa: F401 -- fixtures
from tests.servers.postgres import TestServer


@pytest.fixture(scope="module")
def home(postgres: TestServer) -> Iterator[Database]:
    """The console's own database."""
    with fresh_database(postgres, installed=False) as database:
        yield database


@pytest.fixture(scope="module")
def console(home: Database, shared_database: Database) -> Iterator[RunningConsole]:  # noqa: F811 -- the fixture
    """A console without log-in, with one participant, payer."""
    with running(settings_of(home, {"payer": shared_database.console_url})) as console:
        yield console


@pytest.fixture
def somebody(console: RunningConsole) -> Iterator[Person]:
    """Somebody at this machine."""
    with console.person() as person:
        yield person
