"""A handler cannot end the transaction that it works in: not by accident, not by any way around."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from onceward.database import sqlalchemy_url
from tests.consumer.support import Books, Paid, record
from tests.servers.postgres import TestServer

STRAY = text("INSERT INTO paid (number) VALUES (-1)")


def commit(session: Session) -> None:
    session.commit()


def rollback(session: Session) -> None:
    session.rollback()


def commit_on_the_connection(session: Session) -> None:
    session.connection().commit()


def rollback_on_the_connection(session: Session) -> None:
    session.connection().rollback()


def commit_in_sql(session: Session) -> None:
    session.execute(text("COMMIT"))


def rollback_in_sql(session: Session) -> None:
    session.execute(text("ROLLBACK"))


def rollback_and_begin_in_sql(session: Session) -> None:
    session.execute(text("ROLLBACK"))
    session.execute(text("BEGIN"))


def driver(session: Session) -> Any:
    return session.connection().connection.driver_connection


def commit_in_the_driver(session: Session) -> None:
    driver(session).commit()


def commit_among_other_statements(session: Session) -> None:
    driver(session).execute("SELECT 1; COMMIT; SELECT 2")


def prepare(session: Session) -> None:
    session.execute(text("PREPARE TRANSACTION 'x'"))


def close_the_connection(session: Session) -> None:
    session.connection().close()


WAYS = [
    commit,
    rollback,
    commit_on_the_connection,
    rollback_on_the_connection,
    commit_in_sql,
    rollback_in_sql,
    rollback_and_begin_in_sql,
    commit_in_the_driver,
    commit_among_other_statements,
    prepare,
    close_the_connection,
]


@pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
@pytest.mark.parametrize("end", WAYS)
def test_whoever_ends_the_transaction_is_parked_and_leaves_nothing(
    books: Books, end: Callable[[Session], None], swallowed: bool
) -> None:
    def before(session: Session, event: Paid) -> None:
        if event.number != 2:
            return
        session.execute(STRAY)
        try:
            end(session)
        except Exception:
            if not swallowed:
                raise

    books.before = before
    books.take(*(record(n, key=b"%d" % n) for n in range(5)))
    books.take(record(5, key=b"5"))
    if (end, swallowed) in {(commit, True), (rollback, True)}:
        assert books.paid == [0, 1, -1, 2, 3, 4, 5], "the session's own methods refuse and change nothing"
        return
    assert books.paid == [0, 1, 3, 4, 5]
    assert books.parked == [(2, "parked")]
    assert books.states == {"done": 5, "parked": 1}


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (commit, "TransactionLent: commit() is not for this session"),
        (rollback, "TransactionLent: rollback() is not for this session"),
        (commit_in_sql, "DatabaseError: this transaction is lent"),
        (rollback_in_sql, "TransactionLent: the transaction was ended by the function"),
    ],
)
def test_the_error_says_what_happened(books: Books, end: Callable[[Session], None], says: str) -> None:
    books.before = lambda session, event: end(session)
    books.take(record(0))
    assert books.errors[0].startswith(says)


def test_a_swallowed_database_error_is_parked(books: Books) -> None:
    """PostgreSQL answers COMMIT in a failed transaction with ROLLBACK and no error: the messages would be lost."""

    def after(session: Session, event: Paid) -> None:
        if event.number == 1:
            with suppress(DBAPIError):
                session.execute(text("SELECT 1 / 0"))

    books.after = after
    books.take(*(record(n, key=b"%d" % n) for n in range(3)))
    assert books.paid == [0, 2]
    assert books.errors[0].startswith("TransactionLent: a database error was swallowed; use session.begin_nested()")


def test_a_savepoint_is_the_handlers_own(books: Books) -> None:
    def before(session: Session, event: Paid) -> None:
        with suppress(DBAPIError), session.begin_nested():
            session.execute(STRAY)
            session.execute(text("SELECT 1 / 0"))
        with session.begin_nested():
            session.execute(text("INSERT INTO paid (number) VALUES (100)"))

    books.before = before
    books.take(record(0))
    assert books.paid == [100, 0]


def test_every_version_of_postgresql_keeps_the_transaction(postgres_of_each_version: TestServer) -> None:
    url = postgres_of_each_version.create_database(installed=True)
    admin = create_engine(sqlalchemy_url(url))
    books = Books(admin, postgres_of_each_version.login(url, "app"))
    ends = [commit_in_sql, rollback_in_sql, commit_among_other_statements]

    def after(session: Session, event: Paid) -> None:
        with suppress(Exception):
            ends[event.number](session)

    books.after = after
    books.take(*(record(n, key=b"%d" % n) for n in range(3)))
    assert (books.paid, books.states) == ([], {"parked": 3})
    books.after = lambda session, event: None
    books.retry()
    assert (books.paid, books.states) == ([0, 1, 2], {"done": 3})
    books.engine.dispose()
    admin.dispose()


def test_close_on_the_session_ends_nothing(books: Books) -> None:
    books.after = lambda session, event: session.close()
    books.take(record(0), record(1))
    assert books.paid == [0, 1]
    assert books.states == {"done": 2}


@pytest.mark.parametrize("closes", [False, True], ids=["left", "closed over"])
def test_a_savepoint_that_is_left_open_is_parked(books: Books, closes: bool) -> None:
    """At the end of the session it is rolled back, and the message would count as done."""

    def after(session: Session, event: Paid) -> None:
        if event.number == 1:
            session.begin_nested()
            session.execute(STRAY)
            if closes:
                session.close()

    books.after = after
    books.take(*(record(n, key=b"%d" % n) for n in range(3)))
    assert books.paid == [0, 2]
    assert books.errors[0].startswith("TransactionLent: a savepoint was left open")


def test_a_right_that_is_missing_is_no_handlers_fault(books: Books) -> None:
    """The consumer ends with the error, and no message is parked for it."""
    with books.admin.begin() as connection:
        connection.execute(text("REVOKE EXECUTE ON FUNCTION onceward.lent_transaction() FROM onceward_participant"))
    with pytest.raises(DBAPIError, match="lent_transaction"):
        books.take(record(0))
    assert (books.paid, books.parked) == ([], [])
