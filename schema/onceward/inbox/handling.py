"""Runs handlers inside the transaction of their inbox rows, and commits it."""

from collections.abc import Sequence

from sqlalchemy import Connection

from onceward.cloudevents import IncomingMessage
from onceward.errors import OncewardError
from onceward.failpoint import failpoint
from onceward.lent import lend, lent_session, take_back
from onceward.participant import Subscription

Work = Sequence[tuple[Subscription, IncomingMessage]]


class HandlerFailed(OncewardError):
    """A handler, its flush or its commit failed, and the transaction with it."""

    def __init__(self, message: IncomingMessage, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.message = message
        self.cause = cause


def handle_and_commit(connection: Connection, work: Work) -> None:
    """Run the handlers in order and commit the transaction of `connection`.

    Raises:
        HandlerFailed: it did not commit, or the connection was lost on the way and nobody knows.
    """
    if not work:
        connection.commit()
        return
    lend(connection)
    for subscription, message in work:
        try:
            with lent_session(connection) as session:
                subscription.run(session, subscription.event(message), message)
        except Exception as error:
            raise HandlerFailed(message, error) from error
    try:
        take_back(connection)
        failpoint("consumer.handled")
        connection.commit()
    except Exception as error:
        raise HandlerFailed(work[-1][1], error) from error
    failpoint("consumer.committed")
