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
    """A session in a transaction that its users cannot end. One function after the other may work in it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, join_transaction_mode="rollback_only")
        self._connection = connection
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self._server = driver.pgconn

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

    def hand_back(self) -> None:
        """Flush what a function has done and forget its objects, so that the next one finds none of them.

        Raises:
            TransactionLent: it ended the transaction, let it fail, or left a savepoint open.
        """
        if self.in_nested_transaction():
            raise TransactionLent(OPEN)
        self.flush()
        self.expunge_all()
        self.info.clear()
        # Known without asking the server, so that the next function does not work outside the lent transaction.
        status = self._server.transaction_status
        if self._connection.closed or status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            raise TransactionLent(ENDED)
        if status == TransactionStatus.INERROR:
            raise TransactionLent(SWALLOWED)


@contextmanager
def lent_session(connection: Connection) -> Iterator[LentSession]:
    """Lend the transaction of `connection` for the length of the block; nobody can commit it meanwhile.

    The users of the session take turns; after each of them `hand_back` is called.

    Raises:
        TransactionLent: at the end of the block the transaction is over, or somebody went on in it after it had failed.
    """
    connection.execute(_LEND)
    with LentSession(connection) as session:
        yield session
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
