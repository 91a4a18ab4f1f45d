"""Transactions lent to a team's function, which works in them and cannot end them.

The guarantee: what the function does commits together with the row that says it is done, or not at all. It holds
against `session.commit()`, the connection's own commit, SQL that says COMMIT or ROLLBACK, and a database error that the
function swallowed. For an open cursor WITH HOLD makes PostgreSQL itself refuse every commit until the owner closes it,
and a rollback closes it before the owner does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import InFailedSqlTransaction, InvalidCursorName
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.orm import Session

from onceward.errors import TransactionLent

_LEND = text("DECLARE onceward_lent CURSOR WITH HOLD FOR SELECT onceward.lent_transaction()")
_TAKE_BACK = text("CLOSE onceward_lent")
ENDED = "the transaction was ended by the function that it was lent to"
SWALLOWED = "a database error was swallowed; use session.begin_nested() for what may fail"
OPEN = "a savepoint was left open: end what session.begin_nested() began, best by a with block"


class LentSession(Session):
    """A session in a transaction that its user cannot end."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, join_transaction_mode="rollback_only")
        self._lost_savepoint = False

    @property
    def lost_savepoint(self) -> bool:
        """Whether a savepoint is open, which the end of the session will roll back, or was when the user closed it."""
        return self._lost_savepoint or self.in_nested_transaction()

    def close(self) -> None:
        """Close it, which ends no transaction but a savepoint."""
        self._lost_savepoint = self.lost_savepoint
        super().close()

    def reset(self) -> None:
        """Do as close() does."""
        self._lost_savepoint = self.lost_savepoint
        super().reset()

    def commit(self) -> None:
        """Refuse.

        Raises:
            TransactionLent: always.
        """
        raise TransactionLent("commit() is not for this session: its transaction is committed by its owner")

    def rollback(self) -> None:
        """Refuse.

        Raises:
            TransactionLent: always.
        """
        raise TransactionLent("rollback() is not for this session: raise an error, or use session.begin_nested()")


def lend(connection: Connection) -> None:
    """Let nobody commit the transaction of `connection` until it is taken back."""
    connection.execute(_LEND)


def take_back(connection: Connection) -> None:
    """Let the owner of the transaction commit it.

    Raises:
        TransactionLent: it was ended meanwhile, or somebody went on in it after it had failed.
    """
    try:
        connection.execute(_TAKE_BACK)
    except InvalidRequestError as error:
        raise TransactionLent(ENDED) from error
    except DBAPIError as error:
        if isinstance(error.orig, InvalidCursorName):
            raise TransactionLent(ENDED) from error
        if isinstance(error.orig, InFailedSqlTransaction):
            raise TransactionLent(SWALLOWED) from error
        raise


@contextmanager
def borrowed(connection: Connection) -> Iterator[Session]:
    """Give a session in the transaction of `connection`, which its user cannot end, and take that back.

    Raises:
        TransactionLent: it was ended all the same, has failed, or a savepoint was left open.
    """
    lend(connection)
    with lent_session(connection) as session:
        yield session
    take_back(connection)


@contextmanager
def lent_session(connection: Connection) -> Iterator[Session]:
    """Give a session in the lent transaction of `connection`; flush it at the end of the block.

    Raises:
        TransactionLent: at the end of the block that transaction is over or has failed, or a savepoint was left open.
    """
    with LentSession(connection) as session:
        yield session
        if session.lost_savepoint:
            raise TransactionLent(OPEN)
        session.flush()
    # Known without asking the server, so that the next function does not begin to work outside the lent transaction.
    if connection.closed:
        raise TransactionLent(ENDED)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    status = driver.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        raise TransactionLent(ENDED)
    if status == TransactionStatus.INERROR:
        raise TransactionLent(SWALLOWED)
