"""What Kafka refuses in a batch with others: how the guilty are found, at what cost, and that order holds meanwhile."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceward_relay import transactions
from onceward_relay.carrier import TransactionalSender
from onceward_relay.kafka import Producer
from onceward_relay.outbox import ID
from onceward_relay.sender import Sender
from onceward_relay.suspects import Suspects
from onceward_relay.topics import Topic
from tests.conftest import Database, available
from tests.servers.kafka import KafkaServer, TestKafka
from tests.support import eventually

from .support import Relay, by_key, connect, publish, publish_many, relaying, rows

LIMIT = 50_000
BIG = b"x" * 2 * LIMIT
HELD = "SELECT state, count(*) FROM onceward.held_message GROUP BY state ORDER BY state"


class Broker:
    """Refuses each batch that holds a guilty row; batches of one producer go one by one, until one is refused."""

    def __init__(self, count: int, guilty: set[int], *, batch: int = 10_000, nameless: bool = False) -> None:
        self.rows = [(number,) for number in range(count)]
        self.guilty = guilty
        self.batch = batch
        self.nameless = nameless
        """No report of what was refused arrives."""
        self.acknowledged: list[int] = []
        self.judged: list[int] = []
        self.sent = self.failed = 0

    def settle(self) -> "Broker":
        suspects = Suspects(self.rows, {number for (number,) in self.rows})
        while batch := suspects.next():
            self.sent += 1
            left, named = self._send(batch)
            if not left:
                suspects.settled(batch, found=False)
                continue
            self.failed += 1
            if suspects.refused(batch, left, named) and len(batch) == 1:
                self.judged.append(batch[0][ID])
                suspects.judged()
        return self

    def _send(self, rows: Sequence[Any]) -> tuple[Sequence[Any], set[int]]:
        for first in range(0, len(rows), self.batch):
            ids = {row[ID] for row in rows[first : first + self.batch]}
            if ids & self.guilty:
                return rows[first:], set() if self.nameless else ids
            self.acknowledged += sorted(ids)
        return [], set()


def test_one_guilty_of_two_thousand_costs_few_refusals() -> None:
    for guilty in (0, 1, 77, 1000, 1999):
        broker = Broker(2000, {guilty}).settle()
        assert broker.judged == [guilty]
        assert broker.failed <= 3
        assert broker.sent <= 60


def test_if_all_are_guilty_each_costs_one_refusal() -> None:
    broker = Broker(2000, set(range(2000))).settle()
    assert broker.judged == list(range(2000))
    assert broker.failed <= 2000 + 2


@pytest.mark.parametrize("every", [2, 10, 50, 200])
def test_many_guilty_cost_hardly_more_refusals_than_there_are(every: int) -> None:
    guilty = set(range(every - 1, 2000, every))
    broker = Broker(2000, guilty).settle()
    assert broker.judged == sorted(guilty)
    assert broker.failed <= len(guilty) + 30
    assert broker.sent <= 2000 + 50


@given(
    count=st.integers(1, 200),
    guilty=st.sets(st.integers(0, 199)),
    batch=st.integers(1, 200),
    nameless=st.booleans(),
)
def test_whoever_is_guilty_is_found_and_all_else_goes_in_order(
    count: int, guilty: set[int], batch: int, nameless: bool
) -> None:
    broker = Broker(count, guilty, batch=batch, nameless=nameless).settle()
    assert broker.judged == sorted(guilty & set(range(count)))
    assert broker.acknowledged == sorted(set(range(count)) - guilty)


@dataclass
class Tries:
    """How many rows were sent together each time, and how often Kafka refused some."""

    sizes: list[int]
    refused: int = 0


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Tries:
    seen = Tries([])
    send = Sender._send_watched

    def watched(self: Sender, aside: Any, batch: Sequence[Any]) -> Any:
        reports = send(self, aside, batch)
        seen.sizes.append(len(batch))
        seen.refused += any(reports.values())
        return reports

    monkeypatch.setattr(Sender, "_send_watched", watched)
    return seen


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that may not ask what a topic takes: only Kafka finds the guilty."""
    monkeypatch.setattr("onceward_relay.topics._limits_of", lambda *_: Topic())


@pytest.fixture(params=["at_least_once", "exactly_once"])
def relay(request: pytest.FixtureRequest, database: Database, kafka: TestKafka) -> Iterator[Relay]:
    with relaying(database, kafka, name=database.name, source={"delivery": request.param}) as running:
        yield running


def numbers(count: int, keys: int = 10) -> dict[bytes | None, list[str]]:
    return {f"k{key}".encode(): [str(n) for n in range(key, count, keys)] for key in range(keys)}


def found(kafka: TestKafka, topic: str) -> dict[bytes | None, list[str]]:
    """The payloads of each key in order, the second of two equal ones left out."""
    return {key: list(dict.fromkeys(texts)) for key, texts in by_key(kafka.records(topic)).items()}


def test_one_guilty_among_two_thousand(relay: Relay, tries: Tries) -> None:
    """The limit falls while the relay believes the old one: all are refused in one batch."""
    kafka, topic = relay.kafka, relay.kafka.create_topic(partitions=1)
    with connect(relay.database.url) as owner:
        publish(owner, topic, "warm", "up")
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes=str(LIMIT))
        with owner.transaction():
            publish_many(owner, topic, 1000)
            publish(owner, topic, "k3", BIG)
            publish_many(owner, topic, 1000, first=1000)
        relay.wait_settled(2002)
    expected = numbers(2000)
    expected[b"k3"] = [text for text in expected[b"k3"] if int(text) < 1000]
    assert found(kafka, topic) == {b"warm": ["up"], **expected}
    assert rows(relay.database, HELD) == [("behind", 100), ("poison", 1)]
    assert len(tries.sizes) < 60
    assert tries.refused == 0  # what the topic takes was read anew


@pytest.mark.usefixtures("blind")
def test_one_that_only_kafka_can_find(relay: Relay, tries: Tries) -> None:
    kafka, topic = relay.kafka, relay.kafka.create_topic(partitions=1, max_message_bytes=str(LIMIT))
    with connect(relay.database.url) as owner:
        with owner.transaction():
            publish_many(owner, topic, 100)
            publish(owner, topic, "guilty", BIG)
            publish_many(owner, topic, 100, first=100)
        relay.wait_settled(201)
    assert found(kafka, topic) == numbers(200)
    assert rows(relay.database, HELD) == [("poison", 1)]
    assert len(tries.sizes) < 60
    assert 1 <= tries.refused <= 5


@pytest.mark.usefixtures("blind")
def test_all_are_guilty(relay: Relay, tries: Tries) -> None:
    kafka, topic = relay.kafka, relay.kafka.create_topic(partitions=1, max_message_bytes=str(LIMIT))
    with connect(relay.database.url) as owner:
        publish_many(owner, topic, 20, keys=20, size=2 * LIMIT)
        relay.wait_settled(20, timeout=60)
    assert kafka.records(topic) == []
    assert rows(relay.database, HELD) == [("poison", 20)]
    assert tries.refused <= 22


@pytest.mark.usefixtures("blind")
def test_guilty_rows_of_one_key_in_a_row(relay: Relay) -> None:
    """The first holds the key; those behind it are not even tried."""
    kafka, topic = relay.kafka, relay.kafka.create_topic(partitions=1, max_message_bytes=str(LIMIT))
    with connect(relay.database.url) as owner:
        with owner.transaction():
            publish_many(owner, topic, 50)
            for payload in (BIG, BIG, BIG, b"last"):
                publish(owner, topic, "k3", payload)
            publish_many(owner, topic, 50, first=50)
        relay.wait_settled(104)
    expected = numbers(100)
    expected[b"k3"] = [text for text in expected[b"k3"] if int(text) < 50]
    assert found(kafka, topic) == expected
    assert rows(relay.database, HELD) == [("behind", 8), ("poison", 1)]


@pytest.mark.usefixtures("blind")
def test_two_topics_each_with_a_guilty_row(relay: Relay) -> None:
    kafka = relay.kafka
    topics = [kafka.create_topic(partitions=1, max_message_bytes=str(LIMIT)) for _ in range(2)]
    with connect(relay.database.url) as owner:
        with owner.transaction():
            for topic in topics:
                publish_many(owner, topic, 60)
            for topic in topics:
                publish(owner, topic, None, BIG)
                publish_many(owner, topic, 60, first=60)
        relay.wait_settled(242)
    for topic in topics:
        assert found(kafka, topic) == numbers(120)
    assert rows(relay.database, HELD) == [("poison", 2)]


@pytest.mark.usefixtures("blind")
def test_nothing_of_a_key_overtakes_what_is_refused(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if it is the first that a producer sends to a partition: then the broker would miss no number."""
    monkeypatch.setattr("onceward_relay.sender.Producer", single)
    topic = kafka.create_topic() + "-missing"
    with connect(database.url) as owner, relaying(database, kafka, name=database.name) as relay:
        for payload in (BIG, *"123456789"):
            publish(owner, topic, "k", payload)
        relay.wait_settled(10)
        kafka.create_topic(topic, partitions=1, max_message_bytes=str(LIMIT))
        eventually(lambda: rows(database, "SELECT scope FROM onceward.hold") == [("key",)])
    assert kafka.records(topic) == []


def single(*arguments: Any, **named: Any) -> Producer:
    """Make a producer that sends each row in a batch of its own."""
    return Producer(*arguments, **named, more={"batch.num.messages": 1})


@pytest.mark.usefixtures("blind")
def test_what_is_purged_behind_a_refused_batch_fails_the_next_transaction_once(
    database: Database, kafka: TestKafka
) -> None:
    """The client finds that numbers were skipped, and says so of the next row that goes, which is not to blame."""
    topic = kafka.create_topic(partitions=1)
    with (
        connect(database.url) as owner,
        relaying(database, kafka, name=database.name, source={"delivery": "exactly_once"}) as relay,
    ):
        publish_many(owner, topic, 500, keys=500)
        relay.wait_settled(500)
        kafka.configure(topic, max_message_bytes="200000")
        with owner.transaction():
            publish_many(owner, topic, 250, keys=500, first=500)
            publish(owner, topic, "guilty", b"x" * 800_000)
            publish_many(owner, topic, 250, keys=500, first=750)
        relay.wait_settled(1001)
        assert rows(database, "SELECT max(epoch) FROM onceward.ownership") == [(1,)]
    assert by_key(kafka.records(topic)) == numbers(1000, 500)
    assert rows(database, HELD) == [("poison", 1)]


@pytest.fixture
def hasty_kafka() -> Iterator[TestKafka]:
    """A broker that looks often for transactions that have gone on for too long."""

    def run() -> KafkaServer:
        return KafkaServer({"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100"})

    with available(run()) as server:
        yield TestKafka(server)


@pytest.mark.usefixtures("blind")
def test_a_search_that_takes_longer_than_a_transaction_may_last(
    database: Database, hasty_kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on in another one, and does not begin again."""
    monkeypatch.setitem(transactions.TRANSACTIONAL, "transaction.timeout.ms", 2000)
    monkeypatch.setattr(transactions, "RENEWED", 0.7)
    tried: dict[int, int] = defaultdict(int)
    send = TransactionalSender._send_watched

    def slowly(self: TransactionalSender, aside: Any, batch: Sequence[Any]) -> Any:
        for row in batch:
            tried[row[ID]] += 1
        reports = send(self, aside, batch)
        time.sleep(0.3)  # as if Kafka had taken that long
        return reports

    monkeypatch.setattr(TransactionalSender, "_send_watched", slowly)
    topic = hasty_kafka.create_topic(partitions=1, max_message_bytes=str(LIMIT))
    with (
        connect(database.url) as owner,
        relaying(database, hasty_kafka, name=database.name, source={"delivery": "exactly_once"}) as relay,
    ):
        with owner.transaction():
            publish_many(owner, topic, 200)
            publish(owner, topic, "guilty", BIG)
        began = time.monotonic()
        relay.wait_settled(201, timeout=60)
        assert time.monotonic() - began > 4
        assert rows(database, "SELECT max(epoch) FROM onceward.ownership") == [(1,)]
    assert by_key(hasty_kafka.records(topic)) == numbers(200)
    assert rows(database, HELD) == [("poison", 1)]
    assert max(tried.values()) <= 5
