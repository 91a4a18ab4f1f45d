"""Takes a partition's records in order: inbox rows and handlers in one transaction; what cannot be done, set aside."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from uuid import UUID

from sqlalchemy import Connection

from onceward.backoff import Backoff
from onceward.cloudevents import IncomingMessage
from onceward.errors import UnreadableMessage
from onceward.inbox.counts import Counts
from onceward.inbox.faults import IdReused, fault, is_transient
from onceward.inbox.handling import HandlerFailed, handle_and_commit
from onceward.inbox.parking import Parking
from onceward.inbox.record import Record
from onceward.inbox.tables import Tables
from onceward.participant import Participant, Subscription

log = logging.getLogger("onceward.consumer")

PATIENCE = 8
"""How often a handler may meet a passing fault of the database before its message is parked."""
WAITS = Backoff(timedelta(milliseconds=50), timedelta(seconds=5))
"""Between tries of a message while the database fails."""


@dataclass(frozen=True, slots=True)
class _Incoming:
    record: Record
    message: IncomingMessage
    subscription: Subscription


class Taking:
    """Takes records for one consumer group. Serves several threads, each of which has partitions of its own."""

    def __init__(self, participant: Participant, tables: Tables, parking: Parking, counts: Counts) -> None:
        self._participant = participant
        self._tables = tables
        self._parking = parking
        self._counts = counts

    def take(self, records: Sequence[Record], gave_up: Event) -> int:
        """Settle records of one partition in order; return how many: all, unless `gave_up` was set on the way.

        A settled record is handled, set aside, or was taken before, and that is committed: the offset may move past it.
        """
        if len(records) > 1 and not gave_up.is_set() and self._together(records):
            return len(records)
        for settled, record in enumerate(records):
            if not self._alone(record, gave_up):
                return settled
        return len(records)

    def _together(self, records: Sequence[Record]) -> bool:
        """Settle all in one transaction, or nothing: what goes wrong is found out one record at a time."""
        try:
            self._settle(records)
        except Exception as error:  # noqa: BLE001 -- met again, and dealt with, when its record is alone
            log.debug("a batch of %d records is taken one by one: %s", len(records), fault(error).summary)
            return False
        return True

    def _alone(self, record: Record, gave_up: Event) -> bool:
        """Settle one record, however long the database fails; False if it was given up."""
        waits = handler_faults = 0
        while not gave_up.is_set():
            try:
                if self._settled_or_parked(record, patient=handler_faults < PATIENCE):
                    return True
            except Exception as error:
                if not is_transient(error):
                    raise
                waits += 1
                handler_faults += isinstance(error, HandlerFailed)
                self._counts.add("database_errors")
                log.warning("database error, trying again: %s", fault(error).summary)
                gave_up.wait(WAITS.seconds(waits))
        return False

    def _settled_or_parked(self, record: Record, *, patient: bool) -> bool:
        try:
            self._settle([record])
        except UnreadableMessage as error:
            self._parking.refused(record, None, error)
        except IdReused as error:
            self._parking.refused(record, record.read().message_id, error)
        except HandlerFailed as failure:
            if patient and is_transient(failure):
                raise
            return self._parking.failed(record, failure.message, failure.cause)
        return True

    def _settle(self, records: Sequence[Record]) -> None:
        incoming = [item for record in records if (item := self._read(record))]
        with self._tables.begin() as connection:
            new = self._new(connection, incoming)
            behind = self._line_up(connection, new)
            work = [(item.subscription, item.message) for item in new if item.message.message_id not in behind]
            handle_and_commit(connection, work, self._tables.consumer)
        self._counts.add("unhandled", len(records) - len(incoming))
        self._counts.add("duplicate", len(incoming) - len(new))
        self._counts.add("held", len(behind))
        self._counts.add("handled", len(work))

    def _read(self, record: Record) -> _Incoming | None:
        message = record.read()
        subscription = self._participant.handler_for(message.topic, message.type)
        return _Incoming(record, message, subscription) if subscription else None

    def _new(self, connection: Connection, incoming: Sequence[_Incoming]) -> list[_Incoming]:
        """Record all as taken; return those that had not been taken before."""
        first: dict[UUID, _Incoming] = {}
        for item in incoming:
            first.setdefault(item.message.message_id, item)
        old = self._tables.take(connection, [item.message for item in first.values()])
        if old or len(first) < len(incoming):
            digests = {message_id: item.message.digest for message_id, item in first.items()}
            digests |= self._tables.digests(connection, old) if old else {}
            if any(digests[item.message.message_id] != item.message.digest for item in incoming):
                raise IdReused("another message with its id was taken before")
        return [item for message_id, item in first.items() if message_id not in old]

    def _line_up(self, connection: Connection, new: Sequence[_Incoming]) -> set[UUID]:
        """Set aside those whose key is held; return their ids. The holds are read after the inbox rows are written."""
        hashes = {item.message.message_id: key_hash for item in new if (key_hash := item.record.key_hash)}
        if not hashes:
            return set()
        held = self._tables.held_keys(connection, new[0].record.topic, set(hashes.values()))
        behind = [item for item in new if hashes.get(item.message.message_id) in held]
        for item in behind:
            self._tables.line_up(connection, item.record, item.message.message_id)
        ids = {item.message.message_id for item in behind}
        if ids:
            self._tables.mark(connection, ids, "held")
        return ids
