"""What Python takes, SQL takes, and what one refuses, the other refuses: with the field's name."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from onceward.errors import PublishError
from onceward.messages import UNORDERED
from onceward.outbox import publish, publish_all
from tests.conftest import Database
from tests.publish.inputs import BAD, GOOD, Input

STORED = "SELECT topic, key, type, payload, headers FROM onceward.outbox"
INSERT = """
INSERT INTO onceward.outbox (message_id, topic, key, type, payload, headers)
VALUES (gen_random_uuid(), %s, %s, %s, %s, %s)
"""
CALL = "SELECT onceward.publish(topic => %s, key => %s, type => %s, payload => %s, headers => %s)"


def fields(given: Input) -> tuple[Any, ...]:
    return given.topic, given.key, given.type, given.payload, json.dumps(given.headers)


@pytest.mark.parametrize("given", GOOD, ids=lambda given: given.name)
def test_good_input_is_stored_as_it_is(database: Database, given: Input) -> None:
    headers = {"content-type": "x", **given.headers}
    with database.engine.begin() as connection:
        connection.execute(publish(given.payload, topic=given.topic, key=given.key, type=given.type, headers=headers))
        stored = connection.execute(text(STORED)).one()
    assert tuple(stored) == (given.topic, given.key, given.type, given.payload, headers)
    with psycopg.connect(database.participant_url) as connection:
        connection.execute(INSERT, fields(given))
        assert connection.execute(CALL, fields(given)).fetchone()
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(f"{STORED} ORDER BY id OFFSET 1").fetchall()
    assert rows == [(given.topic, given.key, given.type, given.payload, given.headers)] * 2


@pytest.mark.parametrize("given", BAD, ids=lambda given: given.name)
def test_bad_input_is_refused_by_every_way_in(database: Database, given: Input) -> None:
    with pytest.raises(PublishError, match=f"^{given.wrong}: ") as refused:
        publish(given.payload, topic=given.topic, key=given.key, type=given.type, headers=given.headers)
    assert refused.value.field == given.wrong
    with psycopg.connect(database.participant_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"^{given.wrong}: ") as raised:
            connection.execute(CALL, fields(given))
        assert raised.value.diag.column_name == given.wrong
        with pytest.raises(psycopg.errors.IntegrityError, match=str(given.wrong)):
            connection.execute(INSERT, fields(given))
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)


class Event(BaseModel):
    n: int = 1


class Measured(BaseModel):
    value: float | None = None
    more: Any = None


class Spelt(Measured):
    model_config = ConfigDict(ser_json_inf_nan="strings")


@pytest.mark.parametrize("number", ["NaN", "1e400", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    """pydantic would write null, and the consumer would be told of nothing."""
    for event in (Measured(value=float(number)), Measured(more={"a": [(float(number),)]})):
        with pytest.raises(PublishError, match=r"^payload: Measured cannot be written as JSON: it holds NaN or an inf"):
            publish(event, topic="orders", key="k")
    publish(Measured(value=1e308, more="NaN"), topic="orders", key="k")
    publish(Spelt(value=float(number)), topic="orders", key="k")


def test_a_payload_that_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PublishError, match=r"^payload: Measured cannot be written as JSON: "):
        publish(Measured(more=deep), topic="orders", key="k")


@pytest.mark.parametrize("key", [None, True, 1.5, "", b"", "\ud800", ["k"], object()])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    with pytest.raises(PublishError, match=r"^key: ") as refused:
        publish(Event(), topic="orders", key=key)
    if key is None:
        assert "flush the session first" in str(refused.value)
        assert "UNORDERED" in str(refused.value)


@pytest.mark.parametrize("topic", ["a\0b", 1, b"orders"])
def test_a_topic_must_be_legal_text(topic: Any) -> None:
    with pytest.raises(PublishError, match=r"^topic: "):
        publish(Event(), topic=topic, key="k")


@pytest.mark.parametrize("event", ["text", 1, {"a": 1}, bytearray(b"x"), Event])
def test_an_event_is_a_model_bytes_or_none(event: Any) -> None:
    with pytest.raises(PublishError, match=r"^payload: "):
        publish(event, topic="orders", key="k", type="t")


def test_bytes_need_a_type() -> None:
    with pytest.raises(PublishError, match=r"^type: "):
        publish(b"x", topic="orders", key="k")


def test_a_message_id_is_a_uuid() -> None:
    with pytest.raises(PublishError, match=r"^message_id: "):
        publish(Event(), topic="orders", key="k", message_id=str(uuid4()))  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", [{"h": "\ud800"}, {"\ud800": "h"}, {"h": "a\0b"}, {1: "h"}, [("h", "x")], "h"])
def test_headers_must_be_legal_text(headers: Any) -> None:
    with pytest.raises(PublishError, match=r"^headers: "):
        publish(Event(), topic="orders", key="k", headers=headers)


@pytest.mark.parametrize("headers", ['{"h": "\\u0000"}', '{"h": "\\ud800"}', '{"h": "x"', '["h"]', "null", "1"])
def test_sql_refuses_headers_that_are_no_object_of_strings(database: Database, headers: str) -> None:
    with psycopg.connect(database.participant_url, autocommit=True) as connection, pytest.raises(psycopg.DataError):
        connection.execute(CALL, ("orders", b"k", "t", None, headers))


def test_of_a_header_that_stands_twice_sql_takes_the_last(database: Database) -> None:
    """PostgreSQL's jsonb does; nobody is told of the first."""
    with psycopg.connect(database.participant_url) as connection:
        connection.execute(CALL, ("orders", b"k", "t", None, '{"h": "a", "h": "b"}'))
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT headers FROM onceward.outbox").fetchone() == ({"h": "b"},)


def test_there_must_be_something_to_publish() -> None:
    with pytest.raises(PublishError, match=r"^messages: "):
        publish_all([])


@pytest.mark.parametrize(("key", "unordered"), [(None, False), (None, None), (b"k", True)])
def test_sql_refuses_a_key_that_contradicts_unordered(
    database: Database, key: bytes | None, unordered: bool | None
) -> None:
    with psycopg.connect(database.participant_url) as connection, pytest.raises(psycopg.Error, match=r"^key: "):
        connection.execute("SELECT onceward.publish('orders', %s, 't', NULL, unordered => %s)", (key, unordered))


def test_an_unordered_message_has_no_key(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(publish(Event(), topic="orders", key=UNORDERED))
        connection.execute(text("SELECT onceward.publish('orders', NULL, 't', NULL, unordered => true)"))
        assert connection.execute(text("SELECT key FROM onceward.outbox")).scalars().all() == [None, None]
