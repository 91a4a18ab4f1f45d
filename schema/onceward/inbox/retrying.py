"""Tries parked messages again when their time has come, and those behind them in order."""

from threading import Event
from typing import Any

from sqlalchemy import Connection

from onceward.errors import ConfigError
from onceward.inbox.counts import Counts
from onceward.inbox.handling import HandlerFailed, handle_and_commit
from onceward.inbox.parking import Parking
from onceward.inbox.record import from_columns
from onceward.inbox.tables import Tables
from onceward.incidents import close_incidents
from onceward.participant import Participant


class Retrying:
    """Retries the parked messages of one consumer group. Any number of processes may do so at a time."""

    def __init__(self, participant: Participant, tables: Tables, parking: Parking, counts: Counts) -> None:
        self._participant = participant
        self._tables = tables
        self._parking = parking
        self._counts = counts

    def retry(self, gave_up: Event) -> None:
        """Try every message that is due, and where that succeeds the messages behind it, until `gave_up` is set."""
        with self._tables.begin() as connection:
            due = self._tables.due(connection)
        for row in due:
            seq = row.seq
            while seq is not None and not gave_up.is_set():
                seq = self._try(row.topic, row.key_hash, seq)

    def _try(self, topic: str, key_hash: bytes | None, seq: int) -> int | None:
        """Try one message in one transaction with its release; return the next of its key if that is due now."""
        with self._tables.begin() as connection:
            if key_hash is not None and not self._tables.lock_hold(connection, topic, key_hash):
                return None
            head = self._tables.head(connection, seq)
            if head is None:
                return None
            self._counts.add("retried")
            try:
                following = self._settle(connection, head)
            except HandlerFailed as failure:
                error = failure.cause
            else:
                self._counts.add("handled")
                return following
        self._parking.failed_again(from_columns(head), head.seq, head.attempts, head.message_id, error)
        return None

    def _settle(self, connection: Connection, head: Any) -> int | None:
        message = from_columns(head).read()
        subscription = self._participant.handler_for(message.topic, message.type)
        if subscription is None:
            raise HandlerFailed(message, ConfigError("type", f"{message.type!r} has no handler any more"))
        self._tables.forget(connection, head.seq)
        self._tables.mark(connection, [head.message_id], "done")
        following = self._tables.advance(connection, head.topic, head.key_hash) if head.key_hash is not None else None
        if not self._tables.still_parked(connection, head.message_id):
            close_incidents(connection, message_id=head.message_id, by=f"consumer {self._tables.consumer}")
        handle_and_commit(connection, [(subscription, message)], self._tables.consumer)
        return following
