"""Reads the demo's topics with a consumer of its own, to compare them with what was committed."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from onceward_relay.demo.servers import PARTITIONS

PATIENCE = 5.0
"""Seconds for an answer of Kafka."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic."""

    topic: str
    partition: int
    message_id: UUID
    key: str
    payload: Mapping[str, object]


class Observer:
    """Reads everything from the beginning, in a thread of its own."""

    def __init__(self, kafka: Mapping[str, str | int], topics: Sequence[str]) -> None:
        self.records: list[Record] = []
        """In the order of each partition."""
        self.message_ids: set[UUID] = set()
        self._kafka = dict(kafka)
        self._partitions = [(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="observer", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Raise what ended the reading, if something did."""
        if self._failure is not None:
            raise self._failure

    def behind(self, groups: Mapping[str, Sequence[str]]) -> int:
        """Return how many records the consumer groups, each given with its topics, have not taken yet."""
        return sum(self._lag(group, topics) for group, topics in groups.items())

    def _lag(self, group: str, topics: Sequence[str]) -> int:
        consumer = self._consumer(group)
        try:
            wanted = [TopicPartition(topic, partition) for topic, partition in self._partitions if topic in topics]
            committed = consumer.committed(wanted, timeout=PATIENCE)
            ends = [consumer.get_watermark_offsets(position, timeout=PATIENCE)[1] for position in committed]
            return sum(end - max(position.offset, 0) for end, position in zip(ends, committed, strict=True))
        finally:
            consumer.close()

    def _consumer(self, group: str) -> Consumer:
        return Consumer(self._kafka | {"group.id": group, "enable.auto.commit": False, "log_level": 0})

    def _read(self) -> None:
        try:
            consumer = self._consumer("onceward-demo-observer")
            try:
                consumer.assign([TopicPartition(*partition, OFFSET_BEGINNING) for partition in self._partitions])
                while not self._stopping.is_set():
                    self._take(consumer.poll(0.1))
            finally:
                consumer.close()
        except BaseException as error:  # noqa: BLE001 -- raised again by `check`, in the main thread
            self._failure = error

    def _take(self, message: Message | None) -> None:
        if message is None:
            return
        if error := message.error():
            if error.retriable():
                return
            raise KafkaException(error)
        record = _record(message)
        self.records.append(record)
        self.message_ids.add(record.message_id)


def _record(message: Message) -> Record:
    headers = dict(message.headers() or ())
    identity, key, value = headers["ce_id"], message.key(), message.value()
    topic, partition = message.topic(), message.partition()
    assert isinstance(identity, bytes)
    assert key is not None
    assert value is not None
    assert topic is not None
    assert partition is not None
    return Record(topic, partition, UUID(identity.decode()), key.decode(), json.loads(value))
