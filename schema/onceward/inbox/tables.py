"""The statements over the inbox's tables, for one consumer group."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause, text

from onceward.cloudevents import IncomingMessage
from onceward.inbox.record import Record
from onceward.sqlfiles import statement

BEHIND = "waits behind a parked message of its key"


@cache
def _clause(name: str) -> TextClause:
    return text(statement("onceward.inbox", name))


class Tables:
    """The inbox's rows of one consumer group. Each method but `begin` is one statement in the caller's transaction."""

    def __init__(self, engine: Engine, consumer: str, idle_limit: timedelta) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self.consumer = consumer
        self._idle_limit = f"{idle_limit // timedelta(milliseconds=1)}ms"

    def _run(self, connection: Connection, name: str, **values: Any) -> Sequence[Row[Any]]:
        result = connection.execute(_clause(name), {"consumer": self.consumer, **values})
        return result.all() if result.returns_rows else ()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection in a new transaction, which is rolled back at the end unless it was committed."""
        with self._engine.connect() as connection:
            self._run(connection, "begin", idle_limit=self._idle_limit)
            yield connection

    def take(self, connection: Connection, messages: Collection[IncomingMessage]) -> set[UUID]:
        """Record the messages as done; return the ids of those that were before.

        Waits for others that take the same just now.
        """
        ids, digests = [m.message_id for m in messages], b"".join([m.digest for m in messages])
        return {row.message_id for row in self._run(connection, "take", message_ids=ids, digests=digests)}

    def digests(self, connection: Connection, message_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """Return the recorded digest of each message."""
        return {row.message_id: row.digest for row in self._run(connection, "known", message_ids=list(message_ids))}

    def held_keys(self, connection: Connection, topic: str, key_hashes: Collection[bytes]) -> set[bytes]:
        """Return which of the keys are held, and keep those holds until the transaction ends."""
        rows = self._run(connection, "held_keys", topic=topic, key_hashes=b"".join(key_hashes))
        return {row.key_hash for row in rows}

    def mark(self, connection: Connection, message_ids: Collection[UUID], state: str) -> None:
        """Set the state of messages that are taken."""
        self._run(connection, "mark", message_ids=list(message_ids), state=state)

    def hold(self, connection: Connection, record: Record) -> bool:
        """Hold the record's key; return whether it was free. Without a key nothing is held, and nothing was."""
        if record.key is None:
            return True
        return bool(self._run(connection, "hold", topic=record.topic, key=record.key)[0].created)

    def line_up(self, connection: Connection, record: Record, message_id: UUID) -> None:
        """Set a record aside behind a parked message of its key."""
        self._set_aside(connection, record, message_id, state="held", error=BEHIND, attempts=0, retry_seconds=None)

    def park(self, connection: Connection, record: Record, message_id: UUID | None, error: str, **tries: Any) -> bool:
        """Set a record aside as failed, with `attempts` and `retry_seconds`; return False if it had been before."""
        return self._set_aside(connection, record, message_id, state="parked", error=error, **tries)

    def _set_aside(self, connection: Connection, record: Record, message_id: UUID | None, **values: Any) -> bool:
        return bool(self._run(connection, "set_aside", message_id=message_id, **record.columns(), **values))

    def due(self, connection: Connection) -> Sequence[Row[Any]]:
        """Return (seq, topic, key_hash) of messages that are to be tried again now, the longest due first."""
        return self._run(connection, "due")

    def lock_hold(self, connection: Connection, topic: str, key_hash: bytes) -> bool:
        """Lock a held key; return False if somebody else has it, or it is held no more."""
        return bool(self._run(connection, "lock_hold", topic=topic, key_hash=key_hash))

    def head(self, connection: Connection, seq: int) -> Row[Any] | None:
        """Return and lock a parked message, if it is due and the oldest of its key."""
        rows = self._run(connection, "head", seq=seq)
        return rows[0] if rows else None

    def forget(self, connection: Connection, seq: int) -> None:
        """Delete the copy of a message that is done."""
        self._run(connection, "forget", seq=seq)

    def advance(self, connection: Connection, topic: str, key_hash: bytes) -> int | None:
        """Make the key's next message due and return it, or end the hold if there is none."""
        rows = self._run(connection, "advance", topic=topic, key_hash=key_hash)
        if not rows:
            self._run(connection, "release", topic=topic, key_hash=key_hash)
        return rows[0].seq if rows else None

    def failed(self, connection: Connection, seq: int, attempts: int, error: str, retry_seconds: float) -> bool:
        """Record one more failure of a parked message; return False if others did since."""
        values = {"seq": seq, "attempts": attempts, "error": error, "retry_seconds": retry_seconds}
        return bool(self._run(connection, "failed", **values))

    def still_parked(self, connection: Connection, message_id: UUID) -> bool:
        """Whether any consumer of this database has the message set aside as failed."""
        return bool(self._run(connection, "still_parked", message_id=message_id)[0][0])
