"""Messages before they are written: their fields, and what is refused.

The limits are those of the outbox's domains and of `onceward.publish` in SQL. They stand here once more so that a
bad message is refused where it is made, before it breaks the transaction of the business.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from onceward import tracing
from onceward.errors import PublishError
from onceward.ids import uuid7
from onceward.json_text import NoJsonNumber, json_of

MAX_KEY: Final = 1024
"""Bytes of a key."""
MAX_PAYLOAD: Final = 16 * 1024 * 1024
"""Bytes of a payload."""
MAX_HEADERS: Final = 100
"""Entries."""
MAX_HEADERS_SIZE: Final = 64 * 1024
"""Bytes of all names and values."""
RESERVED_HEADERS: Final = frozenset({"ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time"})
"""Set by the relay."""

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_PRINTABLE: Final = re.compile(r"[!-~]{1,255}")


class Unordered(Enum):
    """The type of UNORDERED."""

    UNORDERED = "UNORDERED"


UNORDERED: Final = Unordered.UNORDERED
"""In place of a key: the message has no key and its order does not matter."""

Key = str | bytes | int | UUID | Unordered
"""A Kafka key: text as UTF-8, a number in decimal, a UUID as its text, bytes as they are.

Of an enumeration's member that is text or a number the value counts, not its name.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One outgoing message."""

    event: BaseModel | bytes | None
    """A model is sent as JSON, bytes as they are; None is a tombstone."""
    topic: str
    key: Key
    type: str | None = None
    """CloudEvents type; that of the model by default. Bytes need one."""
    headers: Mapping[str, str] | None = None
    """Further Kafka headers."""
    message_id: UUID = field(default_factory=uuid7)


def type_name(model: type[BaseModel]) -> str:
    """Return the CloudEvents type of a model: its class variable `event_type`, or the class's name."""
    name = getattr(model, "event_type", model.__name__)
    if not isinstance(name, str):
        raise PublishError("type", f"{model.__name__}.event_type must be a string")
    return name


def is_topic(name: str) -> bool:
    """Whether Kafka takes `name` as that of a topic."""
    return bool(_TOPIC.fullmatch(name)) and name not in {".", ".."}


def row_of(message: Message) -> dict[str, object]:
    """Return the outbox row of `message`.

    Raises:
        PublishError: a field is not as the outbox takes it.

    """
    return {
        "message_id": _message_id(message.message_id),
        "topic": _topic(message.topic),
        "key": _key(message.key),
        "payload": _payload(message.event),
        "type": _type(message),
        "headers": _headers(message),
    }


def _message_id(value: object) -> UUID:
    if not isinstance(value, UUID):
        raise PublishError("message_id", f"must be a UUID, not {type(value).__name__}")
    return value


def _topic(value: object) -> str:
    if not isinstance(value, str) or not is_topic(value):
        raise PublishError(
            "topic", f"{_short(value)} must be 1 to 249 characters of a-z, A-Z, 0-9, dot, underscore and hyphen"
        )
    return str.__str__(value)


def _key(value: object) -> bytes | None:
    if value is UNORDERED:
        return None
    if value is None:
        raise PublishError("key", "is None; flush the session first if the database makes it, or say UNORDERED")
    key = _key_bytes(value)
    if not 1 <= len(key) <= MAX_KEY:
        raise PublishError("key", f"{len(key)} bytes, must be 1 to {MAX_KEY}")
    return key


def _key_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, UUID):
        return str(value).encode()
    if isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() > 4 * MAX_KEY:
            raise PublishError("key", f"a number of more than {MAX_KEY} digits")
        return int.__repr__(value).encode()
    if isinstance(value, str):
        try:
            return str.encode(value)
        except UnicodeEncodeError:
            raise PublishError("key", "holds a character that UTF-8 cannot write") from None
    raise PublishError("key", f"must be text, bytes, a whole number, a UUID or UNORDERED, not {type(value).__name__}")


def _type(message: Message) -> str:
    if message.type is not None:
        value: object = message.type
    elif isinstance(message.event, BaseModel):
        value = type_name(type(message.event))
    elif message.event is None:
        value = "tombstone"
    else:
        raise PublishError("type", "bytes say nothing of their type; give one")
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise PublishError("type", f"{_short(value)} must be 1 to 255 printable ASCII characters without spaces")
    return str.__str__(value)


def _payload(event: object) -> bytes | None:
    if event is None:
        return None
    if isinstance(event, BaseModel):
        payload = _json(event)
    elif isinstance(event, bytes):
        payload = event
    else:
        raise PublishError("payload", f"must be a pydantic model, bytes or None, not {type(event).__name__}")
    if len(payload) > MAX_PAYLOAD:
        raise PublishError("payload", f"{len(payload)} bytes, at most {MAX_PAYLOAD}")
    return payload


def _json(event: BaseModel) -> bytes:
    try:
        return json_of(event).encode()  # under aliases: as the model reads it again
    except (NoJsonNumber, PydanticSerializationError) as error:
        raise PublishError("payload", f"{type(event).__name__} cannot be written as JSON: {error}") from error


def _headers(message: Message) -> dict[str, str]:
    given: object = {} if message.headers is None else message.headers
    if not isinstance(given, Mapping):
        raise PublishError("headers", f"must be a mapping of strings to strings, not {type(given).__name__}")
    headers = {_header_name(name): _header_value(name, value) for name, value in given.items()}
    if isinstance(message.event, bytes) and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/octet-stream"
    if len(headers) > MAX_HEADERS:
        raise PublishError("headers", f"{len(headers)} entries, at most {MAX_HEADERS}")
    if (size := _size(headers)) > MAX_HEADERS_SIZE:
        raise PublishError("headers", f"{size} bytes, at most {MAX_HEADERS_SIZE}")
    return _traced(headers)


def _traced(headers: dict[str, str]) -> dict[str, str]:
    """Add the place in the present trace, unless there is one or no room: a trace must not cost a message."""
    if any(name.lower().removeprefix("ce_") == tracing.TRACEPARENT for name in headers):
        return headers
    traced = headers | tracing.carrier()
    return traced if len(traced) <= MAX_HEADERS and _size(traced) <= MAX_HEADERS_SIZE else headers


def _size(headers: Mapping[str, str]) -> int:
    return sum(len(name) + len(value.encode()) for name, value in headers.items())


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not _PRINTABLE.fullmatch(name):
        raise PublishError("headers", f"name {_short(name)} must be 1 to 255 printable ASCII characters without spaces")
    if name.lower() in RESERVED_HEADERS:
        raise PublishError("headers", f"name {_short(name)} is set by the relay")
    return str.__str__(name)


def _header_value(name: object, value: object) -> str:
    if not isinstance(value, str):
        raise PublishError("headers", f"value of {_short(name)} must be a string, not {type(value).__name__}")
    if "\0" in value:
        raise PublishError("headers", f"value of {_short(name)} holds a NUL")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PublishError("headers", f"value of {_short(name)} holds a character that UTF-8 cannot write")
    return str.__str__(value)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
