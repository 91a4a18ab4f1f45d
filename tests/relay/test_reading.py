"""The next page is read while the one before is sent, and that changes nothing of what is read."""

import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from onceward_relay.candidate import Candidate
from onceward_relay.config import Settings
from onceward_relay.outbox import ID, PAGE_ROWS, PAYLOAD, Outbox
from onceward_relay.position import START, Position
from onceward_relay.session import LOST_AFTER, Row, Session
from onceward_relay.shares import Share
from onceward_relay.stream import NO_WAIT
from tests.conftest import Database
from tests.support import eventually

from .support import connect, publish_many, rows

COUNT = 2 * PAGE_ROWS + 500


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with connect(database.url) as owner:
        publish_many(owner, "topic", COUNT)
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": "127.0.0.1:1"},
            "source": [{"name": "payer", "database": database.relay_url}],
        }
    )
    session = Candidate(settings.source[0], Share("payer", "test")).win("test")
    yield session
    session.close()


@pytest.fixture
def outbox(session: Session) -> Outbox:
    return Outbox(session)


@pytest.fixture
def window(outbox: Outbox) -> Position:
    """An open window over all rows."""
    return Position(START, outbox.probe(START, NO_WAIT).snapshot, 0)


def after(position: Position, page: list[Row]) -> Position:
    return replace(position, last_id=page[-1][ID])


def numbers(page: list[Row]) -> list[int]:
    return [int(row[PAYLOAD]) for row in page]


def test_pages_that_are_read_ahead_follow_each_other(outbox: Outbox, window: Position) -> None:
    found: list[int] = []
    position = window
    while page := outbox.page(position):
        found += numbers(page)
        position = after(position, page)
        outbox.read_ahead(position)
    assert found == list(range(COUNT))


def test_the_server_reads_while_the_relay_does_other_things(
    database: Database, outbox: Outbox, session: Session, window: Position
) -> None:
    first = outbox.page(window)
    outbox.read_ahead(after(window, first))
    session.finish()
    rows(database, "DELETE FROM onceward.outbox RETURNING id")
    assert numbers(outbox.page(after(window, first))) == list(range(PAGE_ROWS, 2 * PAGE_ROWS)), "it was read before"
    assert outbox.page(window) == []


def test_a_page_that_was_read_ahead_for_another_position_is_dropped(outbox: Outbox, window: Position) -> None:
    first = outbox.page(window)
    outbox.read_ahead(after(window, first))
    assert numbers(outbox.page(window)) == numbers(first)


def test_other_statements_wait_for_the_page_under_way(outbox: Outbox, window: Position) -> None:
    first = outbox.page(window)
    outbox.read_ahead(after(window, first))
    assert outbox.newest_id() == first[0][ID] + COUNT - 1
    assert numbers(outbox.page(after(window, first)))[0] == PAGE_ROWS


def test_an_error_while_reading_ahead_is_the_end_of_the_session(
    database: Database, outbox: Outbox, session: Session, window: Position
) -> None:
    with connect(database.url) as other:
        other.execute("BEGIN; LOCK TABLE onceward.outbox IN ACCESS EXCLUSIVE MODE")
        outbox.read_ahead(window)
        cancel = "SELECT pg_cancel_backend(%s)"
        eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
        rows(database, cancel, session.connection.info.backend_pid)
        with pytest.raises(psycopg.errors.QueryCanceled):
            outbox.page(window)


def test_a_page_that_does_not_come_is_not_waited_for_blindly(
    database: Database, outbox: Outbox, session: Session, window: Position
) -> None:
    """While a page is under way the session is kept alive by what comes of it; nothing waits for it."""
    with connect(database.url) as other:
        other.execute("BEGIN; LOCK TABLE onceward.outbox IN ACCESS EXCLUSIVE MODE")
        outbox.read_ahead(window)
        began = time.monotonic()
        for _ in range(100):
            session.keep_alive()
        assert time.monotonic() - began < LOST_AFTER / 10
        other.execute("COMMIT")
    assert numbers(outbox.page(window)) == list(range(PAGE_ROWS))
