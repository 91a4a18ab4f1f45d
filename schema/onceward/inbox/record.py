"""A Kafka record as the inbox takes and keeps it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onceward import cloudevents
from onceward.errors import UnreadableMessage
from onceward.inbox.faults import storable


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a Kafka partition."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: cloudevents.Headers | None
    """None where they cannot be read."""
    time: datetime | None
    """The record's timestamp; None where it has none, or one that no calendar knows."""

    def read(self) -> cloudevents.IncomingMessage:
        """Read it as a CloudEvent.

        Raises:
            UnreadableMessage: it is none.
        """
        if self.headers is None:
            raise UnreadableMessage("headers", "cannot be read: a name is not UTF-8")
        return cloudevents.read(self.headers, self.key, self.value, self.topic)

    @property
    def place(self) -> str:
        """Where it stands in Kafka, for people."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def key_hash(self) -> bytes | None:
        """SHA-256 of the key."""
        return None if self.key is None else hashlib.sha256(self.key).digest()

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    def columns(self) -> dict[str, Any]:
        """Return the values of its copy in the table of parked messages."""
        headers = json.dumps([[storable(name), _encoded(value)] for name, value in self.headers or ()])
        time = self.time.isoformat() if self.time else ""
        whole = json.dumps([_encoded(self.key), _encoded(self.value), headers, time])
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
            "payload": self.value,
            "headers": headers,
            "record_time": self.time,
            "record_hash": hashlib.sha256(whole.encode()).digest(),
        }


def from_columns(row: Any) -> Record:
    """Return the record of which `row` of the table of parked messages is the copy."""
    headers = [(name, None if value is None else base64.b64decode(value)) for name, value in row.headers]
    return Record(row.topic, row.partition, row.offset, row.key, row.payload, headers, row.record_time)


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
