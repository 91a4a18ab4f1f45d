"""Sets aside what cannot be handled, with its error, and holds its key: what comes after it must not overtake it."""

import logging
from uuid import UUID

from sqlalchemy import Connection

from onceward.backoff import Backoff
from onceward.cloudevents import IncomingMessage
from onceward.errors import UnreadableMessage
from onceward.ids import derived
from onceward.inbox.counts import Counts
from onceward.inbox.faults import Fault, IdReused, fault
from onceward.inbox.record import Record
from onceward.inbox.tables import Tables
from onceward.incidents import open_incident

log = logging.getLogger("onceward.consumer")


class Parking:
    """Parks messages of one consumer group, each in a transaction of its own."""

    def __init__(self, tables: Tables, retries: Backoff, counts: Counts) -> None:
        self._tables = tables
        self._retries = retries
        self._counts = counts

    def failed(self, record: Record, message: IncomingMessage, error: Exception) -> bool:
        """Park a message whose handler failed, to be tried again later; False if others have just taken it."""
        found = fault(error)
        with self._tables.begin() as connection:
            if self._tables.take(connection, [message]):
                return False
            first = self._tables.hold(connection, record)
            if first:
                tries = {"attempts": 1, "retry_seconds": self._retries.seconds(1)}
                self._tables.park(connection, record, message.message_id, found.text, **tries)
                self._open_incident(connection, record, message.message_id, found)
            else:
                self._tables.line_up(connection, record, message.message_id)
            self._tables.mark(connection, [message.message_id], "parked" if first else "held")
            connection.commit()
        self._report(record, message.message_id, found, "parked" if first else "held")
        return True

    def failed_again(self, record: Record, seq: int, attempts: int, message_id: UUID, error: Exception) -> None:
        """Record that a parked message failed in a retry."""
        found = fault(error)
        with self._tables.begin() as connection:
            if not self._tables.failed(connection, seq, attempts, found.text, self._retries.seconds(attempts + 1)):
                return
            self._tables.mark(connection, [message_id], "parked")
            self._open_incident(connection, record, message_id, found)
            connection.commit()
        self._report(record, message_id, found, "failed_again")

    def refused(self, record: Record, message_id: UUID | None, error: UnreadableMessage | IdReused) -> None:
        """Park a record that cannot be taken for a new message. Only a person settles it."""
        found = fault(error)
        with self._tables.begin() as connection:
            self._tables.hold(connection, record)
            if not self._tables.park(connection, record, message_id, found.text, attempts=0, retry_seconds=None):
                return
            self._open_incident(connection, record, message_id, found)
            connection.commit()
        self._report(record, message_id, found, "id_reused" if isinstance(error, IdReused) else "unreadable")

    def _open_incident(self, connection: Connection, record: Record, message_id: UUID | None, found: Fault) -> None:
        open_incident(
            connection,
            kind="parked_in",
            message_id=message_id or derived("record", self._tables.consumer, record.place),
            grp=f"{record.topic}/{found.kind}",
            severity=2,
            title=f"The message at {record.place} was set aside: {found.summary}",
        )

    def _report(self, record: Record, message_id: UUID | None, found: Fault, outcome: str) -> None:
        self._counts.add(outcome)
        log.error("message %s at %s %s: %s", message_id or "without an id", record.place, outcome, found.summary)
