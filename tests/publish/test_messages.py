"""What a message's fields become, and that Python and SQL draw the same lines."""

import json
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from sqlalchemy import text

from onceward.errors import PublishError
from onceward.ids import uuid7
from onceward.messages import UNORDERED, Message, row_of, type_name
from onceward.outbox import message_ids, publish, publish_all
from tests.conftest import Database


class Shipped(BaseModel):
    order_id: int = Field(alias="orderId")
    note: str = ""


class Named(BaseModel):
    event_type: ClassVar[str] = "orders.named"


class Colour(str, Enum):  # noqa: UP042 -- its str() is not its value, which is the point
    RED = "red"


class Number(IntEnum):
    SEVEN = 7


def row(event: Any = b"x", **fields: Any) -> dict[str, Any]:
    return row_of(Message(event, **{"topic": "t", "key": "k", "type": "x", **fields}))


@pytest.mark.parametrize(
    ("key", "written"),
    [
        (Colour.RED, b"red"),
        (Number.SEVEN, b"7"),
        (-7, b"-7"),
        (0, b"0"),
        (10**1023, b"1" + b"0" * 1023),
        ("k" * 1024, b"k" * 1024),
        ("a\0b", b"a\0b"),
        (UUID(int=1), b"00000000-0000-0000-0000-000000000001"),
        (UNORDERED, None),
    ],
)
def test_a_key_is_written_as_its_value(key: Any, written: bytes | None) -> None:
    assert row(key=key)["key"] == written


@pytest.mark.parametrize("key", [10**1024, 10**5000, -(10**1023), "ä" * 513, bytearray(b"k"), False], ids=type)
def test_a_key_that_is_too_long_or_of_another_type_is_refused(key: Any) -> None:
    with pytest.raises(PublishError, match=r"^key: "):
        row(key=key)


def test_text_of_an_enumeration_is_stored_as_its_value(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            publish(b"x", topic=Colour.RED, key=Colour.RED, type=Colour.RED, headers={Colour.RED: Colour.RED})
        )
        stored = connection.execute(text("SELECT topic, key, type, headers->>'red' FROM onceward.outbox")).one()
    assert tuple(stored) == ("red", b"red", "red", "red")


def test_the_type_of_a_model_is_its_name_or_what_it_says() -> None:
    assert (type_name(Shipped), type_name(Named)) == ("Shipped", "orders.named")
    assert row(Named(), type=None)["type"] == "orders.named"
    assert row(None, type=None)["type"] == "tombstone"


def test_a_model_is_written_as_it_is_read() -> None:
    written = row(Shipped(orderId=7))["payload"]
    assert written == b'{"orderId":7,"note":""}'
    assert Shipped.model_validate_json(written).order_id == 7


def test_a_model_that_is_no_json_is_refused() -> None:
    with pytest.raises(PublishError, match=r"^payload: Shipped cannot be written as JSON"):
        row(Shipped(orderId=7, note="\ud800"))


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_a_content_type_that_is_given_is_kept(name: str) -> None:
    assert row(headers={name: "text/csv"})["headers"] == {name: "text/csv"}
    assert row(headers={})["headers"] == {"content-type": "application/octet-stream"}
    assert row(None)["headers"] == {}


def test_the_content_type_counts_as_a_header() -> None:
    with pytest.raises(PublishError, match=r"^headers: 101 entries"):
        row(headers={f"h{n}": "" for n in range(100)})
    with pytest.raises(PublishError, match=r"^headers: 65\d+ bytes"):
        row(headers={"h": "x" * 65535})


def test_the_ids_can_be_read_from_the_statement(database: Database) -> None:
    mine = uuid7()
    assert message_ids(publish(b"x", topic="t", key=1, type="x", message_id=mine)) == (mine,)
    one = publish(b"x", topic="t", key=1, type="x")
    many = publish_all(Message(b"x", "t", n, "x") for n in range(3))
    with database.engine.begin() as connection:
        connection.execute(one)
        connection.execute(many)
        stored = connection.execute(text("SELECT message_id FROM onceward.outbox ORDER BY id")).scalars().all()
    assert [*message_ids(one), *message_ids(many)] == stored
    assert len(set(stored)) == 4


def test_a_bad_message_of_many_is_named() -> None:
    with pytest.raises(PublishError, match=r"^topic: ") as refused:
        publish_all([Message(b"x", "t", 1, "x"), Message(b"x", "", 1, "x")])
    assert refused.value.__notes__ == ["in message 1 of the batch, counted from 0"]


def test_many_messages_of_every_kind(database: Database) -> None:
    messages = [
        Message(b"", "t", b"\0", "x", {'"': "\\ {},\n"}),
        Message(None, "t", UNORDERED),
        Message(b'{"a", NULL}', "t", '{"\\', "x"),
    ]
    with database.engine.begin() as connection:
        connection.execute(publish_all(messages))
        stored = connection.execute(text("SELECT payload, key, headers FROM onceward.outbox ORDER BY id")).all()
    binary = {"content-type": "application/octet-stream"}
    assert [tuple(found) for found in stored] == [
        (b"", b"\0", {'"': "\\ {},\n", **binary}),
        (None, None, {}),
        (b'{"a", NULL}', b'{"\\', binary),
    ]


CALL = "SELECT onceward.publish(topic => %s, key => %s, type => %s, payload => %s, headers => %s)"
WORD = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x80), max_size=6),
    st.builds(
        lambda character, times: character * times,
        st.sampled_from("aA.-_ ~!"),
        st.sampled_from([1, 249, 250, 255, 256]),
    ),
    st.sampled_from(
        ["ce_id", "CE_ID", "cE_tYpe", "ce_İd", "ce_source", "ce_time", "ce_specversion", "ce_subject", ".", ".."]
    ),
)


@pytest.fixture(scope="module")
def installed(postgres: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.create_database(installed=True), autocommit=True) as connection:
        yield connection


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    topic=st.one_of(st.just("t"), WORD),
    key=st.binary(max_size=3),
    type_=st.one_of(st.just("x"), WORD),
    headers=st.dictionaries(WORD, WORD, max_size=3),
)
@example(topic="t", key=b"k", type_="x", headers={f"h{n}": "x" * 650 for n in range(99)})
@example(topic="t", key=b"k", type_="x", headers={f"h{n}": "x" * 660 for n in range(99)})
def test_python_and_sql_refuse_the_same(
    installed: psycopg.Connection, topic: str, key: bytes, type_: str, headers: dict[str, str]
) -> None:
    refused = None
    try:
        publish(None, topic=topic, key=key, type=type_, headers=headers)
    except PublishError as error:
        refused = error.field
    found = None
    try:
        installed.execute(CALL, (topic, key, type_, None, json.dumps(headers)))
    except psycopg.errors.InvalidParameterValue as error:
        found = error.diag.column_name
    except psycopg.DataError:  # PostgreSQL's text has no NUL: the value does not even arrive
        assert any("\0" in value for value in (topic, type_, *headers, *headers.values()))
        assert refused is not None
        return
    assert found == refused
