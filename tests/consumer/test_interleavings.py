"""Named interleavings of two consumers, or of a consumer and a retry, that must not lose, repeat or overtake."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.inbox import Inbox, Record
from tests.consumer.support import AT_ONCE, NEVER, Books, Paid, failing, record
from tests.support import eventually


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Gate:
    """A handler stops here until it is opened."""

    def __init__(self) -> None:
        self.reached = Event()
        self.opened = Event()

    def stop(self) -> None:
        self.reached.set()
        assert self.opened.wait(30)


def stopping(gate: Gate, number: int) -> Callable[[Session, Paid], None]:
    def before(session: Session, event: Paid) -> None:
        if event.number == number and not gate.reached.is_set():
            gate.stop()

    return before


def result(future: Future[int]) -> int:
    return future.result(30)


def test_zombie_in_a_handler_and_the_new_owner(books: Books, pool: ThreadPoolExecutor) -> None:
    """The new owner waits for the zombie's transaction and then skips what it has done."""
    gate = Gate()
    books.before = stopping(gate, 1)
    records = [record(n) for n in range(4)]
    zombie = pool.submit(books.take, *records[:3])
    assert gate.reached.wait(30)
    owner = pool.submit(books.take, *records)
    eventually(lambda: books.blocked, timeout=30)
    gate.opened.set()
    assert (result(zombie), result(owner)) == (3, 4)
    assert books.paid == [0, 1, 2, 3]


def test_zombie_that_fails_and_the_new_owner_that_does_not(books: Books, pool: ThreadPoolExecutor) -> None:
    """The new owner's handler is what counts: the zombie finds the message taken and parks nothing."""
    gate = Gate()

    def before(session: Session, event: Paid) -> None:
        if not gate.reached.is_set():
            gate.stop()
            raise RuntimeError

    books.before = before
    message = record(0)
    zombie = pool.submit(books.take, message)
    assert gate.reached.wait(30)
    owner = pool.submit(books.take, message, record(1))
    eventually(lambda: books.blocked, timeout=30)
    gate.opened.set()
    assert (result(zombie), result(owner)) == (1, 2)
    assert books.paid == [0, 1]
    assert (books.parked, books.holds, books.incidents) == ([], [], 0)


def test_zombie_that_parks_while_the_new_owner_takes_the_key(books: Books, pool: ThreadPoolExecutor) -> None:
    """The new owner reads the holds after it has waited for the zombie's inbox row: what comes behind lines up."""
    books.before = failing(0)
    records = [record(n) for n in range(3)]
    with books.admin.begin() as connection:
        connection.execute(text("LOCK TABLE onceward.incident IN EXCLUSIVE MODE"))
        zombie = pool.submit(books.take, records[0])
        eventually(lambda: books.blocked)
        owner = pool.submit(books.take, *records)
        eventually(lambda: books.blocked == 2)
    assert (result(zombie), result(owner)) == (1, 3)
    assert books.paid == []
    assert books.parked == [(0, "parked"), (1, "held"), (2, "held")]


def test_two_batches_with_the_same_ids_in_opposite_order(
    books: Books, pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """Inserted in their own order these deadlock; sorted they wait for one another."""
    caplog.set_level(logging.DEBUG, "onceward.consumer")
    for _ in range(5):
        records = [record(n, key=None) for n in range(500)]
        together = Barrier(2)
        takes = [pool.submit(take_after, together, books, order) for order in (records, records[::-1])]
        assert [result(take) for take in takes] == [500, 500]
    assert sorted(books.paid) == sorted([*range(500)] * 5)
    assert "one by one" not in caplog.text


def take_after(together: Barrier, books: Books, records: list[Record]) -> int:
    together.wait(30)
    return books.take(*records)


def test_a_message_that_arrives_while_its_key_is_released(books: Books, pool: ThreadPoolExecutor) -> None:
    """It waits for the retry's end and then goes through, rather than lining up behind nobody."""
    books.before = failing(0)
    books.take(record(0))
    gate = Gate()
    books.before = stopping(gate, 0)
    retry = pool.submit(books.retry)
    assert gate.reached.wait(30)
    arrival = pool.submit(books.take, record(1))
    eventually(lambda: books.blocked, timeout=30)
    gate.opened.set()
    retry.result(30)
    assert result(arrival) == 1
    assert books.paid == [0, 1]
    assert (books.parked, books.holds) == ([], [])


def test_a_message_that_arrives_while_a_retry_fails(books: Books, pool: ThreadPoolExecutor) -> None:
    """It lines up."""
    books.before = failing(0)
    books.take(record(0))
    gate = Gate()

    def before(session: Session, event: Paid) -> None:
        gate.stop()
        failing(0)(session, event)

    books.before = before
    retry = pool.submit(books.retry)
    assert gate.reached.wait(30)
    arrival = pool.submit(books.take, record(1))
    eventually(lambda: books.blocked, timeout=30)
    gate.opened.set()
    retry.result(30)
    assert result(arrival) == 1
    assert books.paid == []
    assert books.parked == [(0, "parked"), (1, "held")]


def test_a_retry_while_a_message_lines_up(books: Books, pool: ThreadPoolExecutor) -> None:
    """The retry leaves a key alone that is just getting longer; the next one takes it all."""
    books.before = failing(0)
    books.take(record(0))
    gate = Gate()
    books.before = stopping(gate, 2)
    arrival = pool.submit(books.take, record(1), record(2, key=b"other"))
    assert gate.reached.wait(30)
    books.retry()
    assert books.paid == []
    gate.opened.set()
    assert result(arrival) == 2
    books.retry()
    assert books.paid == [2, 0, 1]
    assert (books.parked, books.holds) == ([], [])


def test_other_keys_flow_while_a_retry_runs(books: Books, pool: ThreadPoolExecutor) -> None:
    books.before = failing(0)
    books.take(record(0))
    gate = Gate()
    books.before = stopping(gate, 0)
    retry = pool.submit(books.retry)
    assert gate.reached.wait(30)
    books.take(record(1, key=b"other"))
    assert books.paid == [1]
    gate.opened.set()
    retry.result(30)


def test_two_groups_wait_for_no_lock_of_each_other(books: Books, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    books.before = stopping(gate, 0)
    message = record(0)
    first = pool.submit(books.take, message)
    assert gate.reached.wait(30)
    Inbox(books.participant, books.engine, "other", retries=AT_ONCE).take([message], NEVER)
    assert books.rows("SELECT consumer FROM onceward.inbox") == ["other"]
    gate.opened.set()
    assert result(first) == 1


def test_a_lost_reply_to_the_commit_is_no_second_effect(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server commits and the connection dies before its answer; the fault is made up, the transaction is real."""
    commit = books.engine.dialect.do_commit
    lost: list[bool] = []

    def commit_and_lose_the_reply(connection: Any) -> None:
        commit(connection)
        if not lost:
            lost.append(True)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(books.engine.dialect, "do_commit", commit_and_lose_the_reply)
    books.take(record(0))
    assert lost
    assert books.paid == [0]
    assert books.states == {"done": 1}
    assert books.inbox.counts.duplicate == 1
