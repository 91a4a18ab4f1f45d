"""Outbox rows as Kafka records: CloudEvents 1.0 in Kafka's binary mode."""

import json
import time
from datetime import UTC, datetime, timedelta

from onceward.cloudevents import CONTENT_TYPE, ID, SOURCE, SPECVERSION, TIME, TYPE
from onceward_relay.kafka import BATCH_OVERHEAD

Header = tuple[str, str]
Headers = list[Header]

SPEC: Header = (SPECVERSION, "1.0")
JSON: Header = (CONTENT_TYPE, "application/json")
CE_ID = ID
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_MS = int(_EPOCH.timestamp() * 1000)
RESERVE = 2_500
"""Bytes that a record without headers of its own has at most besides its payload: key, CloudEvents headers, framing."""


class Recorder:
    """Makes the headers and timestamps of one source's records. What many rows share is made once."""

    def __init__(self, ce_source: str) -> None:
        self.source: Header = (SOURCE, ce_source)
        self._types: dict[str, Header] = {}

    def type(self, kind: str) -> Header:
        """Return the header of a message type."""
        header = self._types.get(kind)
        if header is None:
            if len(self._types) > 1000:
                self._types.clear()
            header = self._types[kind] = (TYPE, kind)
        return header

    def own(self, payload: bytes | None, headers: str) -> Headers:
        """Return the content type and the row's own headers, for a row that has some or is a tombstone."""
        own: Headers = list(json.loads(headers).items())
        if payload is None or any(name.lower() == CONTENT_TYPE for name, _ in own):
            return own
        return [JSON, *own]


def moment(created_at: bytes, latest_ms: int) -> tuple[int, Header]:
    """Return the record's timestamp in milliseconds, no later than `latest_ms`, and the ce_time header."""
    microseconds = int.from_bytes(created_at, "big", signed=True)
    at = _EPOCH + timedelta(microseconds=microseconds)
    return min(_EPOCH_MS + microseconds // 1000, latest_ms), (TIME, at.isoformat(timespec="microseconds")[:-6] + "Z")


def unix_time(created_at: bytes) -> float:
    """Return a created_at in seconds since 1970."""
    return _EPOCH.timestamp() + int.from_bytes(created_at, "big", signed=True) / 1_000_000


def now_ms() -> int:
    """Return this machine's time in milliseconds."""
    return time.time_ns() // 1_000_000


def batch_size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return the bytes of a record batch that holds this one record, uncompressed."""
    size = 1 + 1 + 1 + _field(key) + _field(value) + _varint(len(headers))
    for name, text in headers:
        size += _field(name.encode()) + _field(text.encode())
    return BATCH_OVERHEAD + _varint(size) + size


def _field(data: bytes | None) -> int:
    return 1 if data is None else _varint(len(data)) + len(data)


def _varint(number: int) -> int:
    """Return the length of a zigzag varint of a number that is not negative."""
    return max(1, ((number << 1).bit_length() + 6) // 7)
