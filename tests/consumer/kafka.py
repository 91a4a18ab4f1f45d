"""Producing to Kafka and running consumers in the tests."""

import ctypes
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import confluent_kafka
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import Producer, TopicPartition

from onceward.consumer import Consumer
from tests.consumer.support import AT_ONCE, Books, headers_of

QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
"""A group that notices soon when a member is gone."""


@dataclass(frozen=True)
class Sent:
    """One record to be produced."""

    number: int
    key: bytes | None = b"k"
    partition: int = -1
    headers: Sequence[tuple[str, bytes | None]] | None = None
    value: bytes | None = None
    tombstone: bool = False
    milliseconds: int = 0
    """The record's timestamp; 0 is now."""

    @property
    def body(self) -> bytes | None:
        if self.tombstone:
            return None
        return json.dumps({"number": self.number}).encode() if self.value is None else self.value


def produce(bootstrap: str, topic: str, *records: Sent) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for sent in records:
        headers: list[tuple[str, str | bytes | None]] = [*(headers_of() if sent.headers is None else sent.headers)]
        producer.produce(topic, sent.body, sent.key, sent.partition, headers=headers, timestamp=sent.milliseconds)
    assert producer.flush(30) == 0


def produce_with_header(bootstrap: str, topic: str, name: bytes, key: bytes) -> None:
    """Produce a record whose header has any name: through librdkafka itself, for Python's client takes text only."""
    [path] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    for function in (library.rd_kafka_conf_new, library.rd_kafka_new, library.rd_kafka_headers_new):
        function.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    assert library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap.encode(), error, 512) == 0
    client = ctypes.c_void_p(library.rd_kafka_new(0, settings, error, 512))
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(1))
    library.rd_kafka_header_add(headers, name, len(name), b"v", 1)
    end, to_topic, with_value, with_key, flags, with_headers = 0, 1, 4, 5, 7, 10
    copy, size = 2, ctypes.c_size_t
    arguments = [to_topic, topic.encode(), flags, copy, with_value, b"{}", size(2), with_key, key, size(len(key))]
    assert library.rd_kafka_producev(client, *arguments, with_headers, headers, end) == 0
    assert library.rd_kafka_flush(client, 30_000) == 0
    library.rd_kafka_destroy(client)


def committed(bootstrap: str, group: str, topic: str, partitions: int) -> int:
    """How many records of the topic the group has behind it."""
    consumer = KafkaConsumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        positions = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=30)
        return sum(max(p.offset, 0) for p in positions)
    finally:
        consumer.close()


class Running:
    """A consumer that runs in a thread of its own; its end shows the error that ended it."""

    def __init__(self, books: Books, bootstrap: str, *, group: str | None = None, **settings: Any) -> None:
        given = {name.replace("_", "."): value for name, value in settings.items()}
        kafka = {"bootstrap.servers": bootstrap, **QUICK, **given}
        self.consumer = Consumer(
            books.participant, books.engine, kafka, group=group or books.participant.name, retries=AT_ONCE
        )
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.consumer.run()
        except BaseException as error:  # noqa: BLE001 -- shown by the test
            self.error = error

    @property
    def assigned(self) -> int:
        return len(self.consumer._lanes)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self.consumer.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()


@contextmanager
def running(books: Books, bootstrap: str, **options: Any) -> Iterator[Running]:
    consumer = Running(books, bootstrap, **options)
    try:
        yield consumer
    finally:
        consumer.stop()
        if consumer.error is not None:
            raise consumer.error


def new_group() -> str:
    return f"group-{uuid4().hex[:12]}"
