"""One row becomes one Kafka record: a CloudEvent in binary mode, byte for byte."""

import time
from datetime import datetime
from typing import Any, cast

import pytest
from sqlalchemy import create_engine

from onceward import cloudevents
from onceward.database import sqlalchemy_url
from onceward.outbox import publish as publish_statement
from onceward_relay.records import batch_size
from tests.conftest import Database
from tests.servers.kafka import TestKafka

from .support import connect, publish, relaying


def test_a_record_is_a_cloudevent(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        message_id = publish(
            app, topic, "k1", '{"a":1}', '{"trace": "abc", "ünï": "x"}'.replace("ünï", "x-y"), "OrderPlaced"
        )
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    [record] = kafka.records(topic)
    headers = dict(record.headers() or [])
    assert (record.key(), record.value()) == (b"k1", b'{"a":1}')
    assert headers.pop("ce_time") is not None
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": message_id.encode(),
        "ce_source": b"payer",
        "ce_type": b"OrderPlaced",
        "content-type": b"application/json",
        "trace": b"abc",
        "x-y": b"x",
    }


def test_the_consumer_reads_what_the_python_api_published(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    statement = publish_statement(b"\x00\xff", topic=topic, key=7, type="Raw")
    engine = create_engine(sqlalchemy_url(database.participant_url))
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    [record] = kafka.records(topic)
    message = cloudevents.read(cast("Any", record.headers()), record.key(), record.value(), topic)
    assert (message.payload, message.key, message.type, message.source) == (b"\x00\xff", b"7", "Raw", "payer")
    assert message.headers["content-type"] == b"application/octet-stream"


def test_null_and_empty_payload_stay_apart(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app:
        publish(app, topic, "k", None)
        publish(app, topic, "k", b"")
    with relaying(database, kafka) as relay:
        relay.wait_settled(2)
    tombstone, empty = kafka.records(topic)
    assert tombstone.value() is None
    assert "content-type" not in dict(tombstone.headers() or [])
    assert empty.value() == b""
    assert dict(empty.headers() or [])["content-type"] == b"application/json"


def test_a_message_without_a_key_has_none(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, None, "x")
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    [record] = kafka.records(topic)
    assert record.key() is None


def test_a_content_type_of_the_publisher_is_kept(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, "k", "x", '{"Content-Type": "text/plain"}')
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    [record] = kafka.records(topic)
    assert {name.lower(): value for name, value in dict(record.headers() or ()).items()}[
        "content-type"
    ] == b"text/plain"
    assert len(record.headers() or []) == 6


def test_the_time_is_that_of_the_transaction_and_never_in_the_future(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner:
        for at in ("2001-02-03 04:05:06.789012+00", "2999-01-01 00:00:00+00"):
            owner.execute(
                "INSERT INTO onceward.outbox (message_id, topic, key, type, payload, created_at) VALUES (gen_random_uuid(), %s, 'k', 'T', '', %s)",
                (topic, at),
            )
    before = time.time() * 1000
    with relaying(database, kafka) as relay:
        relay.wait_settled(2)
    past, future = kafka.records(topic)
    assert dict(past.headers() or [])["ce_time"] == b"2001-02-03T04:05:06.789012Z"
    assert past.timestamp()[1] == int(datetime.fromisoformat("2001-02-03T04:05:06.789+00:00").timestamp() * 1000)
    assert before - 1000 <= future.timestamp()[1] <= time.time() * 1000
    assert dict(future.headers() or [])["ce_time"] == b"2999-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("size", [0, 60, 63, 64, 127, 128, 8191, 8192, 100_000])
def test_the_size_of_a_record_is_what_the_broker_counts(database: Database, kafka: TestKafka, size: int) -> None:
    """At exactly max.message.bytes a message lands; with a limit one byte lower it is set aside."""
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "0" * 36),
        ("ce_source", "payer"),
        ("ce_type", "Tested"),
        ("ce_time", "0" * 27),
        ("content-type", "application/json"),
    ]
    exact = batch_size(b"k", b"x" * size, headers)
    fits = kafka.create_topic(partitions=1, max_message_bytes=str(exact))
    too_small = kafka.create_topic(partitions=1, max_message_bytes=str(exact - 1))
    with connect(database.participant_url) as app:
        publish(app, fits, "k", b"x" * size)
        publish(app, too_small, "k", b"x" * size)
    with relaying(database, kafka) as relay:
        relay.wait_settled(2)
        assert relay.count("held_total", state="poison") == 1
    assert len(kafka.records(fits)) == 1
    assert kafka.records(too_small) == []
