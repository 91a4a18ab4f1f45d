"""CloudEvents 1.0 in Kafka records: the headers' names, and reading what any CloudEvents producer writes.

Both modes of the Kafka protocol binding are read: binary (attributes in `ce_` headers, the value is the data) and
structured (content-type `application/cloudevents+json`, the value is the whole event).
"""

import base64
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecoder
from types import MappingProxyType
from uuid import UUID

from onceward.errors import UnreadableMessage
from onceward.ids import derived

SPECVERSION = "ce_specversion"
ID = "ce_id"
SOURCE = "ce_source"
TYPE = "ce_type"
TIME = "ce_time"
CONTENT_TYPE = "content-type"

LONGEST_ATTRIBUTE = 255
"""Longest id, source and type that are read, in characters."""
FARTHEST_AHEAD_MS = 24 * 3600 * 1000
"""How far ahead of this machine's clock the time in a UUIDv7 may lie, in milliseconds."""

Headers = Sequence[tuple[str, bytes | None]]
"""Headers of a Kafka record, as the client gives them."""

_UUID = re.compile("-".join(rf"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12)))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"[ \t\n\r]*")
_JSON_TYPE = re.compile(r"(application|text)/json\b|[^;]*\+json\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A Kafka record, read as a CloudEvent."""

    message_id: UUID
    """The CloudEvents id if it is a UUID, else the UUIDv5 of source and id."""
    type: str
    source: str
    topic: str
    key: bytes | None
    payload: bytes | None
    """The event's data; None for a tombstone, or an event without data."""
    headers: Mapping[str, bytes | None]
    """All headers by their names in lower case. Attributes of a structured event stand here too, as in binary mode."""
    digest: bytes
    """SHA-256 of topic, key, type and payload."""


def read(headers: Headers | None, key: bytes | None, value: bytes | None, topic: str) -> IncomingMessage:
    """Read a Kafka record as a CloudEvent, in binary or in structured mode.

    Raises:
        UnreadableMessage: it is none, or has no id by which it can be deduplicated; names the header or field.
    """
    found = _by_name(headers or ())
    payload = value
    if (found.get(CONTENT_TYPE) or b"").lower().startswith(b"application/cloudevents"):
        attributes, payload = _structured(found, value)
        found |= attributes
    version = _attribute(found, SPECVERSION)
    if not version.startswith("1."):
        raise UnreadableMessage(SPECVERSION, f"is {version[:20]!a}; only CloudEvents 1.0 is read")
    source, kind = _attribute(found, SOURCE), _attribute(found, TYPE)
    return IncomingMessage(
        message_id=_message_id(source, _attribute(found, ID)),
        type=kind,
        source=source,
        topic=topic,
        key=key,
        payload=payload,
        headers=MappingProxyType(found),
        digest=_digest(topic.encode(), key, kind.encode(), payload),
    )


def _by_name(headers: Headers) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith("ce_") and found.get(lower, value) != value:
            raise UnreadableMessage(lower, "stands there twice, with two values")
        found[lower] = value
    return found


def _attribute(found: Mapping[str, bytes | None], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise UnreadableMessage(name, "is missing; the record is a CloudEvent neither in binary nor in structured mode")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise UnreadableMessage(name, "is not UTF-8") from None
    if _CONTROL.search(text):
        raise UnreadableMessage(name, "has control characters")
    if not 1 <= len(text) <= LONGEST_ATTRIBUTE:
        raise UnreadableMessage(name, f"has {len(text)} characters; must have 1 to {LONGEST_ATTRIBUTE}")
    return text


def _message_id(source: str, text: str) -> UUID:
    if not _UUID.fullmatch(text):
        return derived("message", source, text)
    message_id = UUID(text)
    if message_id.version == 7:
        ahead = (message_id.int >> 80) - time.time_ns() // 1_000_000
        if ahead > FARTHEST_AHEAD_MS:
            raise UnreadableMessage(
                ID, f"is a UUIDv7 {ahead // 1000} s ahead of the clock; it is forged, or a clock is wrong"
            )
    return message_id


def _digest(*parts: bytes | None) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update((-1 if part is None else len(part)).to_bytes(8, signed=True))
        digest.update(part or b"")
    return digest.digest()


def _structured(found: Mapping[str, bytes | None], value: bytes | None) -> tuple[dict[str, bytes | None], bytes | None]:
    """Return the attributes of an event in structured mode, named as in binary mode, and its data."""
    content_type = (found[CONTENT_TYPE] or b"").decode("latin-1")
    if not re.fullmatch(r"application/cloudevents\+json *(;.*)?", content_type, re.IGNORECASE):
        raise UnreadableMessage(CONTENT_TYPE, f"is {content_type[:80]!a}; must be application/cloudevents+json")
    try:
        members = _members((value or b"").decode())
        texts = {name: _text(raw) for name, raw in members.items() if name not in ("data", "data_base64")}
        return {f"ce_{name}": text.encode() for name, text in texts.items() if text is not None}, _data(members)
    except RecursionError:
        raise UnreadableMessage("value", "is JSON that is nested too deeply") from None
    except UnicodeError:
        raise UnreadableMessage("value", "is not UTF-8, or names characters that are none") from None
    except ValueError as error:
        raise UnreadableMessage("value", f"is no JSON object of a CloudEvent: {error}") from None


def _members(text: str) -> dict[str, str]:
    """Return the raw JSON of each member of the object `text`, so that data reaches its model digit by digit."""
    decoder = JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse)
    members: dict[str, str] = {}
    position = _after("{", text, 0)
    more = not text.startswith("}", position)
    while more:
        if not text.startswith('"', position):
            raise ValueError(f"a name expected at character {position}")
        name, end = decoder.raw_decode(text, position)
        start = _after(":", text, end)
        _, end = decoder.raw_decode(text, start)
        members[name] = text[start:end]
        position = _skip(text, end)
        if more := text.startswith(",", position):
            position = _skip(text, position + 1)
    if _after("}", text, position) != len(text):
        raise ValueError("something follows its end")
    return members


def _after(mark: str, text: str, position: int) -> int:
    position = _skip(text, position)
    if not text.startswith(mark, position):
        raise ValueError(f"{mark!r} expected at character {position}")
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    assert space is not None
    return space.end()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _text(raw: str) -> str | None:
    """Return an attribute in the form that it has as a header; None for null and for what no attribute can be."""
    if raw.startswith('"'):
        return str(JSONDecoder(strict=False).decode(raw))
    return raw if raw in ("true", "false") or re.fullmatch(r"-?\d+", raw) else None


def _data(members: Mapping[str, str]) -> bytes | None:
    if "data_base64" in members:
        if "data" in members:
            raise ValueError("data and data_base64 exclude each other")
        return base64.b64decode(_text(members["data_base64"]) or "", validate=True)
    data = members.get("data")
    if data is None:
        return None
    kind = _text(members.get("datacontenttype", "null"))
    if data.startswith('"') and kind is not None and not _JSON_TYPE.match(kind):
        return (_text(data) or "").encode()
    return data.encode()
