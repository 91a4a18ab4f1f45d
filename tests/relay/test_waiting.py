"""Kafka away: order is kept, nothing is lost, the lag shows, and nobody is busy for nothing."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import KafkaException

from onceward_relay.kafka import Producer
from onceward_relay.session import LOST_AFTER
from tests.conftest import Database
from tests.servers.kafka import KafkaServer, TestKafka
from tests.servers.proxy import proxy
from tests.support import eventually

from .support import Relay, by_key, connect, publish, publish_many, relaying, rows, running, settings
from .test_sources import at


def in_order(kafka: TestKafka, topic: str, count: int, keys: int) -> None:
    """Check that every message is there and that the first occurrences of each key are in order."""
    found = {key: list(dict.fromkeys(numbers)) for key, numbers in by_key(kafka.records(topic)).items()}
    assert found == {f"k{k}".encode(): [str(n) for n in range(count) if n % keys == k] for k in range(keys)}


def arrived(kafka: TestKafka, topic: str) -> int:
    """Return how many different messages are there; none while a broker that was away has no leader yet."""
    try:
        return len({(record.key(), record.value()) for record in kafka.records(topic)})
    except KafkaException:
        return 0


def test_the_producer_is_ready_before_the_first_row(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its id from Kafka in half a second, which the first row after a start or a takeover does not wait."""
    made: list[Producer] = []

    def make(*arguments: Any, **options: Any) -> Producer:
        made.append(Producer(*arguments, **options))
        return made[-1]

    monkeypatch.setattr("onceward_relay.sender.Producer", make)
    topic = kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        eventually(lambda: made)
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
    assert len(made) == 1


def test_a_broker_that_is_down_at_the_start(database: Database, own_kafka: KafkaServer) -> None:
    kafka = TestKafka(own_kafka)
    topic = kafka.create_topic()
    own_kafka.stop()
    with connect(database.url) as owner:
        publish_many(owner, topic, 100)
        with relaying(database, kafka) as relay:
            eventually(lambda: relay.state.waiting_rows == 100, describe=lambda: relay.state)
            eventually(lambda: relay.state.lag_seconds > 3)
            publish_many(owner, topic, 100, first=100)
            own_kafka.start()
            relay.wait_settled(200, timeout=60)
            eventually(lambda: relay.state.waiting_rows == 0)
            assert relay.state.lag_seconds == 0
    in_order(kafka, topic, 200, 10)


def test_a_broker_that_is_away_longer_than_any_timeout(database: Database, own_kafka: KafkaServer) -> None:
    """The producer is thrown away at the stall deadline, more than once; what was under way goes again, in order."""
    kafka = TestKafka(own_kafka)
    topic = kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka, stall_timeout=5) as relay:
        publish_many(owner, topic, 100)
        relay.wait_settled(100)
        own_kafka.suspend()
        for turn in range(1, 5):
            publish_many(owner, topic, 100, first=100 * turn)
        eventually(lambda: relay.count("errors_total", kind="kafka_stalled") >= 2, timeout=60)
        publish_many(owner, topic, 100, first=500)
        own_kafka.resume()
        eventually(lambda: arrived(kafka, topic) == 600, timeout=60)
    in_order(kafka, topic, 600, 10)
    assert rows(database, "SELECT count(*) FROM onceward.held_message") == [(0,)]


def test_waiting_for_kafka_is_not_busy(database: Database, own_kafka: KafkaServer) -> None:
    kafka = TestKafka(own_kafka)
    topic = kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
        own_kafka.stop()
        publish(owner, topic, "k", "2")
        eventually(lambda: relay.state.lag_seconds > 1)
        cpu, began = time.process_time(), time.monotonic()
        eventually(lambda: relay.state.lag_seconds > 4)
        assert time.process_time() - cpu < 0.25 * (time.monotonic() - began)
        own_kafka.start()
        relay.wait_settled(2, timeout=60)


def test_a_session_lost_while_waiting_for_kafka(database: Database, own_kafka: KafkaServer) -> None:
    """The database stops answering while messages are under way: the relay gives up before another may take over."""
    kafka = TestKafka(own_kafka)
    topic = kafka.create_topic(partitions=1)
    parts = urlsplit(database.relay_url)
    with connect(database.url) as owner, proxy(str(parts.hostname), parts.port or 5432) as wire:
        configuration = settings(kafka, {"payer": at(database.relay_url, port=wire.port)})
        with running(configuration) as daemon:
            relay = Relay(daemon, database, kafka)
            publish(owner, topic, "k", "1")
            relay.wait_settled(1)
            own_kafka.suspend()
            publish(owner, topic, "k", "2")
            eventually(lambda: relay.state.waiting_rows == 1)
            wire.freeze()
            frozen = time.monotonic()
            eventually(lambda: relay.state.state == "broken", timeout=30, describe=lambda: relay.state)
            assert time.monotonic() - frozen < LOST_AFTER + 4
            assert relay.count("errors_total", kind="lost") == 1
            own_kafka.resume()
            wire.thaw()
            publish(owner, topic, "k", "3")
            eventually(lambda: arrived(kafka, topic) == 3, timeout=60, describe=lambda: relay.state)
    assert list(dict.fromkeys(by_key(kafka.records(topic))[b"k"])) == ["1", "2", "3"]


def test_a_stop_while_kafka_is_away(database: Database, own_kafka: KafkaServer) -> None:
    """What is under way is purged after the stop's time and left to the next owner."""
    kafka = TestKafka(own_kafka)
    topic = kafka.create_topic()
    with connect(database.url) as owner:
        with relaying(database, kafka, stop_timeout=1) as relay:
            publish_many(owner, topic, 50)
            relay.wait_settled(50)
            own_kafka.suspend()
            publish_many(owner, topic, 50, first=50)
            eventually(lambda: relay.state.waiting_rows == 50)
            began = time.monotonic()
            relay.daemon.close()
            assert time.monotonic() - began < 5
        own_kafka.resume()
        with relaying(database, kafka):
            eventually(lambda: arrived(kafka, topic) == 100, timeout=60)
    in_order(kafka, topic, 100, 10)
