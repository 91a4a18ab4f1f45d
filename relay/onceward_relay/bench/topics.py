"""The topics of a benchmark: made, read and removed. The relay itself never creates one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from onceward_relay.bench import BenchError

ANSWER = 10.0
"""Seconds within which Kafka must answer."""


def check(servers: str) -> None:
    """Ask Kafka something.

    Raises:
        BenchError: it does not answer.

    """
    with _admin(servers) as admin:
        try:
            admin.list_topics(timeout=ANSWER)
        except KafkaException as error:
            raise BenchError(f"--kafka {servers}: {error.args[0].str()}") from error


def make_topic(servers: str, name: str, partitions: int) -> None:
    """Create a topic, and wait until its partitions are led.

    Raises:
        BenchError: Kafka does not answer, or refuses.

    """
    check(servers)
    with _admin(servers) as admin:
        try:
            admin.create_topics([NewTopic(name, partitions)])[name].result()
        except KafkaException as error:
            raise BenchError(f"--kafka {servers}: {error.args[0].str()}") from error
    deadline = time.monotonic() + ANSWER
    while not _led(servers, name, partitions):
        if time.monotonic() > deadline:
            raise BenchError(f"--kafka {servers}: topic {name} has no leaders")


def _led(servers: str, name: str, partitions: int) -> bool:
    with _admin(servers) as admin:
        known = admin.list_topics(name, timeout=ANSWER).topics[name].partitions
    try:
        return len(known) == partitions and end_offsets(servers, name) == 0
    except KafkaException:
        return False


def remove_topic(servers: str, name: str) -> None:
    """Remove a topic of a benchmark."""
    with _admin(servers) as admin:
        admin.delete_topics([name])[name].result()


def remove_group(servers: str, name: str) -> None:
    """Remove a consumer group of a benchmark, whose consumers are gone."""
    with _admin(servers) as admin:
        admin.delete_consumer_groups([name])[name].result()


def end_offsets(servers: str, name: str) -> int:
    """Return the sum of the end offsets of a topic's partitions: how many records were ever written to it."""
    with _admin(servers) as admin:
        partitions = admin.list_topics(name, timeout=30).topics[name].partitions
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # the client does not declare it
        asked = admin.list_offsets({TopicPartition(name, number): latest for number in partitions})
        return sum(future.result().offset for future in asked.values())


def committed(servers: str, name: str) -> int:
    """Return how many committed records a topic has, by reading them all."""
    options = {"bootstrap.servers": servers, "group.id": "none", "enable.auto.commit": False, "log_level": 3}
    consumer = Consumer({**options, "isolation.level": "read_committed", "enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(name, timeout=30).topics[name].partitions
        consumer.assign([TopicPartition(name, number, 0) for number in partitions])
        found, ended = 0, 0
        while ended < len(partitions):
            for message in consumer.consume(10_000, 0.1):
                if message.error() is None:
                    found += 1
                else:
                    ended += 1
        return found
    finally:
        consumer.close()


@contextmanager
def reader(servers: str, topic: str) -> Iterator[Callable[[float], list[bytes]]]:
    """Read a benchmark's topic from its present end: gives a function that waits for the next values."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "none", "enable.auto.commit": False, "fetch.wait.max.ms": 5}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        ends = [(number, consumer.get_watermark_offsets(TopicPartition(topic, number), 30)[1]) for number in partitions]
        consumer.assign([TopicPartition(topic, number, end) for number, end in ends])

        def next_values(timeout: float) -> list[bytes]:
            first = consumer.poll(timeout)
            found = [] if first is None else [first, *consumer.consume(1000, 0)]  # which would wait for a thousand
            return [message.value() or b"" for message in found if message.error() is None]

        yield next_values
    finally:
        consumer.close()


def _admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, "log_level": 3})
