"""Inbox rows and handlers are one transaction; what was taken before is skipped."""

import logging
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from onceward.inbox import Inbox
from tests.consumer.support import TOPIC, Books, Paid, failing, record


def test_a_batch_is_handled_in_order_with_its_inbox_rows(books: Books) -> None:
    assert books.take(*(record(n) for n in range(50))) == 50
    assert books.paid == list(range(50))
    assert books.states == {"done": 50}
    assert books.inbox.counts.handled == 50


def test_a_batch_is_one_transaction(books: Books) -> None:
    books.take(*(record(n) for n in range(50)))
    assert books.rows(
        "SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM paid UNION ALL SELECT xmin FROM onceward.inbox) AS x"
    ) == [1]


def test_what_was_taken_before_is_skipped(books: Books) -> None:
    records = [record(n) for n in range(10)]
    books.take(*records[:6])
    books.take(*records)
    books.take(records[9])
    assert books.paid == list(range(10))
    assert books.inbox.counts.duplicate == 7


def test_a_message_twice_in_one_batch_is_handled_once(books: Books) -> None:
    first = record(0)
    books.take(first, record(1), first)
    assert books.paid == [0, 1]


def test_handler_and_inbox_row_fail_together(books: Books) -> None:
    def before(session: Session, event: Paid) -> None:
        session.execute(text("INSERT INTO paid (number) VALUES (-1)"))
        raise RuntimeError

    books.before = before
    books.take(record(0))
    assert books.paid == []
    assert books.states == {"parked": 1}


def test_a_failure_in_a_batch_costs_its_neighbours_nothing(books: Books) -> None:
    books.before = failing(3)
    books.take(*(record(n, key=b"%d" % n) for n in range(6)))
    assert books.paid == [0, 1, 2, 4, 5]
    assert books.states == {"done": 5, "parked": 1}


def test_a_type_without_handler_is_counted_and_left(books: Books) -> None:
    assert books.take(record(0, type="Refunded"), record(1)) == 2
    assert books.paid == [1]
    assert books.states == {"done": 1}
    assert books.inbox.counts.unhandled == 1


def test_two_groups_have_each_their_own_memory(books: Books) -> None:
    message = record(0)
    books.take(message)
    Inbox(books.participant, books.engine, "other").take([message], Event())
    assert books.paid == [0, 0]


def test_a_given_up_lane_is_left_at_once(books: Books) -> None:
    gave_up = Event()
    gave_up.set()
    assert books.inbox.take([record(0), record(1)], gave_up) == 0
    assert books.inbox.take([record(0)], gave_up) == 0
    assert books.paid == []


def test_a_lane_given_up_on_the_way_is_left_behind_the_running_transaction(books: Books) -> None:
    gave_up = Event()
    seen: list[int] = []

    def before(session: Session, event: Paid) -> None:
        seen.append(event.number)
        if seen.count(2) == 2:  # first in the batch, which fails at 4, then alone
            gave_up.set()
        failing(4)(session, event)

    books.before = before
    assert books.inbox.take([record(n) for n in range(6)], gave_up) == 3
    assert books.paid == [0, 1, 2]


def test_handlers_see_what_others_committed_while_they_waited(books: Books) -> None:
    """The inbox is READ COMMITTED whatever the engine's default is."""
    seen = []
    books.before = lambda session, event: seen.append(session.scalar(text("SHOW transaction_isolation")))
    books.take(record(0))
    assert seen == ["read committed"]


def test_each_handler_has_a_fresh_session(books: Books) -> None:
    sessions = []
    books.before = lambda session, event: sessions.append(session)
    books.take(record(0), record(1))
    assert sessions[0] is not sessions[1]


def test_what_a_handler_adds_to_its_session_is_flushed(books: Books) -> None:
    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = "paid"
        id: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[int]

    books.before = lambda session, event: session.add(Row(number=100 + event.number))
    books.take(record(0), record(1))
    assert sorted(books.paid) == [0, 1, 100, 101]


def test_nothing_logged_repeats_a_payload(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "4929-1234"
    books.before = failing(1, error=lambda: ValueError(f"card {secret} is stolen"))
    books.take(
        record(1, key=secret.encode(), message_id=uuid4()), record(2, value=f'{{"number": "{secret}"}}'.encode())
    )
    books.take(record(3, value=f'"{secret}'.encode()))
    books.retry()
    assert books.inbox.counts.parked == 2
    assert caplog.text.count("message") > 2
    assert secret not in caplog.text
    assert TOPIC in caplog.text
