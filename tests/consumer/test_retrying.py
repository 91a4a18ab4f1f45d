"""Parked messages are tried again on their timer: the key's oldest, then those behind it, in order."""

from datetime import timedelta
from threading import Event

from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.inbox import Backoff, Inbox
from tests.consumer.support import NEVER, Books, Paid, failing, record


def test_a_key_is_worked_off_in_order_and_released(books: Books) -> None:
    books.before = failing(0)
    books.take(*(record(n) for n in range(5)), record(9, key=b"other"))
    books.before = failing()
    books.retry()
    assert books.paid == [9, 0, 1, 2, 3, 4]
    assert books.states == {"done": 6}
    assert (books.parked, books.holds, books.incidents) == ([], [], 0)
    books.take(record(5))
    assert books.paid[-1] == 5


def test_the_incident_is_closed_by_the_consumer(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0))
    books.before = failing()
    books.retry()
    assert books.rows("SELECT closed_by FROM onceward.incident") == ["consumer books"]


def test_a_failure_again_is_noted_and_keeps_the_others_behind(books: Books) -> None:
    books.before = failing(0)
    books.take(*(record(n) for n in range(3)))
    books.before = failing(0, error=lambda: KeyError("new"))
    books.retry()
    books.retry()
    assert books.rows("SELECT attempts, error LIKE 'KeyError%' FROM onceward.inbox_parked ORDER BY seq LIMIT 1") == [
        (3, True)
    ]
    assert books.parked == [(0, "parked"), (1, "held"), (2, "held")]
    assert books.rows("SELECT times FROM onceward.incident") == [3]
    assert books.inbox.counts.failed_again == 2


def test_one_behind_that_fails_is_parked_in_its_turn(books: Books) -> None:
    books.before = failing(0)
    books.take(*(record(n) for n in range(4)))
    books.before = failing(2)
    books.retry()
    assert books.paid == [0, 1]
    assert books.parked == [(2, "parked"), (3, "held")]
    assert books.states == {"done": 2, "parked": 1, "held": 1}
    assert (books.holds, books.incidents) == ([b"k"], 1)
    books.before = failing()
    books.retry()
    assert books.paid == [0, 1, 2, 3]


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(timedelta(seconds=10), timedelta(hours=1))
    assert [backoff.seconds(n) for n in (1, 2, 3, 9, 10, 10_000)] == [10, 20, 40, 2560, 3600, 3600]


def test_nothing_is_tried_before_its_time(books: Books) -> None:
    inbox = Inbox(books.participant, books.engine, "books")
    books.before = failing(0)
    inbox.take([record(0)], NEVER)
    assert books.rows("SELECT round(extract(epoch FROM next_try - parked_at)) FROM onceward.inbox_parked") == [10]
    books.before = failing()
    inbox.retry(NEVER)
    assert books.paid == []


def test_messages_without_key_are_tried_each_alone(books: Books) -> None:
    books.before = failing(0, 1, 2)
    books.take(*(record(n, key=None) for n in range(3)))
    books.before = failing(1)
    books.retry()
    assert books.paid == [0, 2]
    assert books.parked == [(1, "parked")]


def test_a_record_that_cannot_be_read_keeps_its_key_until_a_person_removes_it(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0), record(1, id=None), record(2))
    books.before = failing()
    books.retry()
    books.retry()
    assert books.paid == [0]
    assert books.parked == [(1, "parked"), (2, "held")]
    assert books.holds == [b"k"]


def test_a_message_whose_handler_is_gone_stays_parked(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0), record(1))
    other = Inbox(type(books.participant)("books"), books.engine, "books")
    other.retry(NEVER)
    assert books.parked == [(0, "parked"), (1, "held")]
    assert books.errors[0].startswith("ConfigError: type: 'Paid' has no handler any more")


def test_two_processes_never_try_the_same_key_at_once(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0), record(1))
    runs = []

    def before(session: Session, event: Paid) -> None:
        runs.append(event.number)
        if len(runs) == 1:
            Inbox(books.participant, books.engine, "books").retry(NEVER)

    books.before = before
    books.retry()
    assert (runs, books.paid) == ([0, 1], [0, 1])


def test_two_processes_never_try_the_same_unordered_message_at_once(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0, key=None))
    runs = []

    def before(session: Session, event: Paid) -> None:
        runs.append(event.number)
        if len(runs) == 1:
            Inbox(books.participant, books.engine, "books").retry(NEVER)

    books.before = before
    books.retry()
    assert (runs, books.paid) == ([0], [0])


def test_a_crash_between_two_of_a_key_leaves_the_next_one_due(books: Books) -> None:
    books.before = failing(0)
    books.take(*(record(n) for n in range(3)))
    gave_up = Event()
    books.before = lambda session, event: gave_up.set()
    books.inbox.retry(gave_up)
    assert books.paid == [0]
    assert books.parked == [(1, "held"), (2, "held")]
    books.before = failing()
    books.retry()
    assert books.paid == [0, 1, 2]


def test_an_incident_shared_by_two_groups_closes_with_the_last(books: Books) -> None:
    other = Inbox(books.participant, books.engine, "other", retries=Backoff(timedelta(0), timedelta(0)))
    books.before = failing(0)
    message = record(0)
    books.take(message)
    other.take([message], NEVER)
    assert books.incidents == 1
    books.before = failing()
    books.retry()
    assert books.incidents == 1
    other.retry(NEVER)
    assert books.incidents == 0


def test_a_retry_that_ends_its_transaction_leaves_nothing(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0))

    def before(session: Session, event: Paid) -> None:
        session.execute(text("COMMIT"))

    books.before = before
    books.retry()
    assert books.states == {"parked": 1}
    assert books.parked == [(0, "parked")]
    assert books.incidents == 1
