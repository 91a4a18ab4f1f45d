"""Runs handlers inside the transaction of their inbox rows, and commits it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Connection

from onceward import tracing
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


def handle_and_commit(connection: Connection, work: Work, consumer: str) -> None:
    """Run the handlers of `consumer` in order and commit the transaction of `connection`.

    Raises:
        HandlerFailed: it did not commit, or the connection was lost on the way and nobody knows.
    """
    if not work:
        connection.commit()
        return
    lend(connection)
    traced = tracing.set_up()
    for subscription, message in work:
        try:
            with _span(message, consumer) if traced else nullcontext(), lent_session(connection) as session:
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


def _span(message: IncomingMessage, consumer: str) -> AbstractContextManager[tracing.Span]:
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": message.topic,
        "messaging.consumer.group.name": consumer,
        "messaging.message.id": str(message.message_id),
        "cloudevents.event_type": message.type,
    }
    return tracing.span(f"process {message.topic}", "consumer", attributes, tracing.of_message(message.headers))
