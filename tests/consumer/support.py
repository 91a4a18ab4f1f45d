"""What the consumer's tests share: a small participant with one table, and records as Kafka would deliver them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from onceward.database import sqlalchemy_url
from onceward.ids import uuid7
from onceward.inbox import Backoff, Inbox, Record
from onceward.participant import Participant

TOPIC = "payments"
AT_ONCE = Backoff(timedelta(0), timedelta(0))
NEVER = Event()
"""A lane that is never given up."""


class Paid(BaseModel):
    number: int
    note: str = ""


def record(
    offset: int,
    number: int | None = None,
    *,
    key: bytes | None = b"k",
    message_id: object = None,
    value: Any = None,
    **attributes: Any,
) -> Record:
    """A record in binary mode; `number` is by default the offset."""
    body = value if value is not None else json.dumps({"number": offset if number is None else number}).encode()
    return Record(TOPIC, 0, offset, key, body, headers_of(message_id, **attributes), datetime.now(UTC))


def headers_of(message_id: object = None, **attributes: str | None) -> list[tuple[str, bytes]]:
    """The headers of binary mode; attributes change them, or leave them out where they are None."""
    headers: dict[str, str | None] = {
        "specversion": "1.0",
        "id": str(message_id or uuid7()),
        "source": "test",
        "type": "Paid",
    }
    return [(f"ce_{name}", text.encode()) for name, text in (headers | attributes).items() if text is not None]


class Books:
    """A participant whose handler writes the number of each payment into a table, and fails where it is told to."""

    def __init__(self, engine: Engine, participant_url: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE paid (id bigint GENERATED ALWAYS AS IDENTITY, number bigint)"))
            connection.execute(text("GRANT SELECT, INSERT ON paid TO onceward_participant"))
        self.admin = engine
        self.engine = create_engine(sqlalchemy_url(participant_url))
        self.participant = Participant("books")
        self.before: Callable[[Session, Paid], None] = lambda session, event: None
        self.after = self.before
        self.inbox = Inbox(self.participant, self.engine, "books", retries=AT_ONCE)
        self.consume(TOPIC)

    def consume(self, topic: str) -> None:
        self.participant.on(topic, Paid)(self.pay)

    def pay(self, session: Session, event: Paid) -> None:
        self.before(session, event)
        session.execute(text("INSERT INTO paid (number) VALUES (:number)"), {"number": event.number})
        self.after(session, event)

    def take(self, *records: Record) -> int:
        return self.inbox.take(records, NEVER)

    def retry(self) -> None:
        self.inbox.retry(NEVER)

    def rows(self, query: str) -> list[Any]:
        with self.admin.connect() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query))]

    @property
    def paid(self) -> list[int]:
        return self.rows("SELECT number FROM paid ORDER BY id")

    def has_paid(self, number: int) -> bool:
        """Whether so many have been paid, or more."""
        return len(self.paid) >= number

    @property
    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM onceward.inbox GROUP BY state"))

    @property
    def parked(self) -> list[Any]:
        return self.rows('SELECT "offset", state FROM onceward.inbox_parked ORDER BY seq')

    @property
    def errors(self) -> list[str]:
        return self.rows("SELECT error FROM onceward.inbox_parked WHERE state = 'parked' ORDER BY seq")

    @property
    def incidents(self) -> int:
        [number] = self.rows("SELECT count(*) FROM onceward.incident WHERE kind = 'parked_in' AND closed_at IS NULL")
        return int(number)

    @property
    def blocked(self) -> int:
        """How many transactions of the participant wait for a lock."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND wait_event_type = 'Lock'"
        [number] = self.rows(f"{waiting} AND datname = current_database()")
        return int(number)

    @property
    def holds(self) -> list[bytes]:
        return self.rows("SELECT key FROM onceward.inbox_hold ORDER BY key")


def failing(
    *numbers: int, error: Callable[[], Exception] = lambda: RuntimeError("no")
) -> Callable[[Session, Paid], None]:
    """What fails for these numbers."""

    def before(session: Session, event: Paid) -> None:
        if event.number in numbers:
            raise error()

    return before
