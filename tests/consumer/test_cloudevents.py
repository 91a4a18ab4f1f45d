"""Kafka records of any CloudEvents producer are read, or it is said which field cannot be."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceward.cloudevents import IncomingMessage, read
from onceward.errors import UnreadableMessage
from onceward.ids import derived

ID = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
BINARY = {"ce_specversion": "1.0", "ce_id": ID, "ce_source": "/till/7", "ce_type": "Paid"}
EVENT = {"specversion": "1.0", "id": ID, "source": "/till/7", "type": "Paid"}
JSON_MODE = "application/cloudevents+json"


def binary(
    value: bytes | None = b"{}", key: bytes | None = b"k", topic: str = "t", **changes: str | None
) -> IncomingMessage:
    headers = {**BINARY, **{f"ce_{name}": text for name, text in changes.items()}}
    return read([(name, text.encode()) for name, text in headers.items() if text is not None], key, value, topic)


def structured(value: Any, content_type: str = JSON_MODE) -> IncomingMessage:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read([("content-type", content_type.encode())], b"k", body, "t")


def refused(match: str) -> Any:
    return pytest.raises(UnreadableMessage, match=match)


def test_binary_mode() -> None:
    message = binary(b'{"a": 1}', traceparent="00-1")
    assert message.message_id == UUID(ID)
    assert (message.type, message.source, message.topic, message.key) == ("Paid", "/till/7", "t", b"k")
    assert message.payload == b'{"a": 1}'
    assert message.headers["ce_traceparent"] == b"00-1"


def test_structured_mode() -> None:
    message = structured({**EVENT, "data": {"a": 1}, "traceparent": "00-1", "count": 7, "flag": True, "nothing": None})
    assert (message.message_id, message.type, message.source) == (UUID(ID), "Paid", "/till/7")
    assert message.payload == b'{"a": 1}'
    assert message.headers["ce_traceparent"] == b"00-1"
    assert (message.headers["ce_count"], message.headers["ce_flag"]) == (b"7", b"true")
    assert "ce_nothing" not in message.headers


def test_both_modes_of_one_event_are_one_message() -> None:
    assert binary(b'{"a":1}').digest == structured(b'{"data":{"a":1}, ' + json.dumps(EVENT).encode()[1:]).digest


def test_structured_data_is_kept_digit_by_digit() -> None:
    data = b'{ "amount": 0.10000000000000000001, "big": 123456789012345678901234567890, "e": 1e400, "x": "\\u00e4" }'
    body = b'{"data": ' + data + b"," + json.dumps(EVENT).encode()[1:]
    assert structured(body).payload == data


@pytest.mark.parametrize(
    ("members", "payload"),
    [
        ({}, None),
        ({"data": None}, b"null"),
        ({"data": "text"}, b'"text"'),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, b"<a/>"),
        ({"data": "text", "datacontenttype": "application/vnd.till+json; charset=utf-8"}, b'"text"'),
        ({"data_base64": "AP8="}, b"\x00\xff"),
        ({"data_base64": ""}, b""),
    ],
)
def test_structured_data_in_its_forms(members: dict[str, Any], payload: bytes | None) -> None:
    assert structured({**EVENT, **members}).payload == payload


@pytest.mark.parametrize("content_type", [JSON_MODE, JSON_MODE + "; charset=UTF-8", "Application/CloudEvents+JSON"])
def test_structured_mode_is_known_by_its_content_type(content_type: str) -> None:
    assert structured(EVENT, content_type).message_id == UUID(ID)


def test_names_of_headers_are_read_in_any_case() -> None:
    pairs = [(name.upper(), text.encode()) for name, text in BINARY.items()]
    assert read(pairs, None, b"", "t").message_id == UUID(ID)
    assert read([("Content-Type", JSON_MODE.encode())], None, json.dumps(EVENT).encode(), "t").message_id == UUID(ID)


def test_null_and_empty_values_are_two_things() -> None:
    assert binary(None).payload is None
    assert binary(b"").payload == b""
    assert binary(None).digest != binary(b"").digest


@pytest.mark.parametrize("text", [ID, ID.upper(), "01890a5d-ac96-774b-bcce-b302099a8057"])
def test_an_id_that_is_a_uuid_is_the_message_id(text: str) -> None:
    assert binary(id=text).message_id == UUID(text)


@pytest.mark.parametrize("text", ["1", "order-7/paid", ID + "0", "{" + ID + "}", ID.replace("-", ""), "ä" * 255])
def test_any_other_id_is_known_by_source_and_id(text: str) -> None:
    assert binary(id=text).message_id == derived("message", "/till/7", text)
    assert binary(id=text).message_id != binary(id=text, source="/till/8").message_id


def uuid7_at(moment: datetime) -> str:
    return str(UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62))


def test_a_uuid7_of_the_future_is_forged() -> None:
    now = datetime.now(UTC)
    assert binary(id=uuid7_at(now + timedelta(hours=23))).message_id.version == 7
    assert binary(id=uuid7_at(now - timedelta(days=10_000))).message_id.version == 7
    with refused("^ce_id: is a UUIDv7 8[67]... s ahead of the clock"):
        binary(id=uuid7_at(now + timedelta(hours=24, minutes=1)))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"id": None}, "^ce_id: is missing"),
        ({"id": ""}, "^ce_id: has 0 characters"),
        ({"id": "x" * 256}, "^ce_id: has 256 characters"),
        ({"source": None}, "^ce_source: is missing"),
        ({"source": ""}, "^ce_source: "),
        ({"type": None}, "^ce_type: is missing"),
        ({"type": "x" * 10_000}, "^ce_type: "),
        ({"id": "a\0b"}, "^ce_id: has control characters"),
        ({"source": "a\nb"}, "^ce_source: has control characters"),
        ({"type": "a\x1b[31m"}, "^ce_type: has control characters"),
        ({"specversion": None}, "^ce_specversion: is missing"),
        ({"specversion": "0.3"}, "^ce_specversion: is '0.3'; only CloudEvents 1.0 is read"),
    ],
)
def test_binary_records_that_cannot_be_read(changes: dict[str, Any], match: str) -> None:
    with refused(match):
        binary(**changes)


def test_attributes_that_are_no_text() -> None:
    pairs = [(name, text.encode()) for name, text in BINARY.items()]
    with refused("^ce_id: is not UTF-8"):
        read([*pairs[:1], ("ce_id", b"\xff"), *pairs[2:]], None, b"", "t")
    with refused("^ce_id: is missing"):
        read([*pairs[:1], ("ce_id", None), *pairs[2:]], None, b"", "t")
    with refused("^ce_id: stands there twice"):
        read([*pairs, ("ce_id", b"2")], None, b"", "t")
    assert read([*pairs, *pairs, ("x", b"1"), ("x", b"2")], None, b"", "t").message_id == UUID(ID)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (b"", "^value: is no JSON object of a CloudEvent"),
        (b"[]", "^value: is no JSON object"),
        (b"{", "^value: is no JSON object"),
        (b'{"a" 1}', "^value: is no JSON object"),
        (b'{"a": 1,}', "^value: is no JSON object"),
        (b"{1: 1}", "^value: is no JSON object"),
        (b'{"a": 1', "^value: is no JSON object"),
        (b'{"a": 1 "b": 2}', "^value: is no JSON object"),
        (b'{"a": NaN}', "^value: is no JSON object of a CloudEvent: NaN is not JSON"),
        (json.dumps(EVENT).encode() + b"x", "^value: is no JSON object of a CloudEvent: something follows"),
        (b"\xff", "^value: is not UTF-8"),
        (b'{"id": "\\ud800"}', "^value: is not UTF-8"),
        (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "^value: is JSON that is nested too deeply"),
        ({**EVENT, "data": 1, "data_base64": ""}, "^value: .*data and data_base64 exclude each other"),
        ({**EVENT, "data_base64": "?"}, "^value: "),
        ({**EVENT, "data_base64": 7}, "^value: "),
        ({**EVENT, "id": None}, "^ce_id: is missing"),
        ({**EVENT, "id": ["x"]}, "^ce_id: is missing"),
        ({}, "^ce_specversion: is missing"),
    ],
)
def test_structured_records_that_cannot_be_read(value: Any, match: str) -> None:
    with refused(match):
        structured(value)


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents"]
)
def test_other_forms_are_named(content_type: str) -> None:
    with refused("^content-type: is 'application/cloudevents"):
        structured(EVENT, content_type)


def test_a_structured_record_without_value() -> None:
    with refused("^value: "):
        read([("content-type", JSON_MODE.encode())], None, None, "t")


def test_no_headers_at_all() -> None:
    with refused("^ce_specversion: is missing"):
        read(None, None, b"hello", "t")


names = st.text(max_size=20) | st.sampled_from([*BINARY, "content-type"])
values = (
    st.none() | st.binary(max_size=300) | st.sampled_from([b"1.0", JSON_MODE.encode(), str(uuid4()).encode(), b"\xff"])
)


@given(
    headers=st.none() | st.lists(st.tuples(names, values), max_size=8),
    key=st.none() | st.binary(max_size=5),
    value=st.none()
    | st.binary(max_size=60)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()),
)
def test_whatever_comes_is_read_or_refused(headers: Any, key: bytes | None, value: bytes | None) -> None:
    try:
        message = read(headers, key, value, "t")
    except UnreadableMessage:
        pass
    else:
        assert len(message.digest) == 32
        assert message.type
