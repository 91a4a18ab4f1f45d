"""Slow handlers, rebalances, killed and frozen consumers, servers that go away: every message takes effect once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event

import psycopg
import pytest
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaException
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from onceward import migrations
from onceward.database import sqlalchemy_url
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.consumer.kafka import Running, Sent, committed, new_group, produce, running
from tests.consumer.support import Books, Paid
from tests.servers.kafka import KafkaServer, TestKafka
from tests.support import Process, eventually

PROGRAM = str(Path(__file__).with_name("program.py"))


@pytest.fixture
def topic(kafka: TestKafka, books: Books) -> str:
    name = kafka.create_topic(partitions=3)
    books.consume(name)
    return name


class Gate:
    """A handler stops here until it is opened."""

    def __init__(self) -> None:
        self.reached = Event()
        self.opened = Event()

    def stop_at(self, number: int) -> Callable[[Session, Paid], None]:
        def before(session: Session, event: Paid) -> None:
            if event.number == number and not self.reached.is_set():
                self.reached.set()
                assert self.opened.wait(60)

        return before


def test_a_handler_slower_than_the_poll_interval_is_survived(kafka: TestKafka, books: Books, topic: str) -> None:
    """The client throws a consumer out that does not poll within max.poll.interval.ms: this one keeps polling."""
    gate = Gate()
    books.before = gate.stop_at(0)
    produce(kafka.bootstrap, topic, Sent(0, partition=0), Sent(1, partition=0))
    group = new_group()
    with running(books, kafka.bootstrap, group=group, session_timeout_ms=2000, max_poll_interval_ms=2000) as consumer:
        assert gate.reached.wait(30)
        lanes = list(consumer.consumer._lanes.values())
        long_enough = time.monotonic() + 7
        for number in range(2, 10):
            produce(kafka.bootstrap, topic, Sent(number, partition=1))
            eventually(partial(books.has_paid, number - 1))
        eventually(lambda: time.monotonic() > long_enough)
        assert list(consumer.consumer._lanes.values()) == lanes, "nothing was taken away"
        gate.opened.set()
        eventually(lambda: len(books.paid) == 10)
        assert list(consumer.consumer._lanes.values()) == lanes
    assert consumer.consumer.counts.duplicate == 0
    assert committed(kafka.bootstrap, group, topic, 3) == 10


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_consumers_that_come_and_go(kafka: TestKafka, books: Books, topic: str, strategy: str) -> None:
    group = new_group()
    settings = {"group": group, "partition_assignment_strategy": strategy}
    sent = [Sent(n, b"%d" % (n % 30)) for n in range(6000)]
    with running(books, kafka.bootstrap, **settings) as first:
        produce(kafka.bootstrap, topic, *sent[:2000])
        with running(books, kafka.bootstrap, **settings) as second:
            produce(kafka.bootstrap, topic, *sent[2000:3000])
            eventually(lambda: first.assigned and second.assigned)
            with running(books, kafka.bootstrap, **settings) as third:
                eventually(lambda: [c.assigned for c in (first, second, third)] == [1, 1, 1])
                produce(kafka.bootstrap, topic, *sent[3000:4000])
            produce(kafka.bootstrap, topic, *sent[4000:5000])
        produce(kafka.bootstrap, topic, *sent[5000:])
        eventually(lambda: len(books.paid) >= 6000, timeout=60)
    in_order_and_once(books, sent)
    assert committed(kafka.bootstrap, group, topic, 3) == 6000


def in_order_and_once(books: Books, sent: list[Sent]) -> None:
    place = {number: n for n, number in enumerate(books.paid)}
    assert [number for number, times in Counter(books.paid).items() if times > 1] == []
    assert set(place) == {each.number for each in sent}
    for key in {each.key for each in sent}:
        places = [place[each.number] for each in sent if each.key == key]
        assert places == sorted(places), f"key {key!r}"


def test_a_partition_is_taken_away_while_its_handler_runs(
    kafka: TestKafka, books: Books, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new owner waits for the transaction under way, finds its inbox row and goes on behind it."""
    monkeypatch.setattr("onceward.consumer.REVOKE_PATIENCE", 0.1)
    gate = Gate()
    books.before = gate.stop_at(0)
    produce(kafka.bootstrap, topic, *(Sent(n, partition=n % 3) for n in range(30)))
    group = new_group()
    with running(books, kafka.bootstrap, group=group) as first:
        assert gate.reached.wait(30)
        with running(books, kafka.bootstrap, group=group) as second:
            eventually(lambda: first.assigned and second.assigned)
            gate.opened.set()
            eventually(lambda: len(books.paid) >= 30)
    assert sorted(books.paid) == list(range(30))
    for partition in range(3):
        assert [n for n in books.paid if n % 3 == partition] == list(range(partition, 30, 3))


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_paused_partition_that_is_taken_away_and_given_back_goes_on(
    kafka: TestKafka, books: Books, topic: str, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """The client's pause outlives the assignment, so a partition that was crowded once would never be fetched again."""
    monkeypatch.setattr("onceward.consumer.REVOKE_PATIENCE", 0.1)
    monkeypatch.setattr("onceward.inbox.lane.CROWDED_RECORDS", 100)
    opened = Event()

    def before(session: Session, event: Paid) -> None:
        assert opened.wait(60)

    books.before = before
    settings = {"group": new_group(), "partition_assignment_strategy": strategy}
    produce(kafka.bootstrap, topic, *(Sent(n, partition=n % 3) for n in range(6000)))
    with running(books, kafka.bootstrap, **settings) as first:
        eventually(lambda: [lane.paused for lane in first.consumer._lanes.values()] == [True] * 3)
        with running(books, kafka.bootstrap, **settings) as second:
            eventually(lambda: first.assigned and second.assigned)
            opened.set()
            eventually(lambda: len(books.paid) >= 6000, timeout=60)
    assert sorted(books.paid) == list(range(6000))


def test_revoking_waits_for_a_handler_that_ends_soon(kafka: TestKafka, books: Books, topic: str) -> None:
    """Its offset is committed before the partition goes: the new owner gets nothing again."""
    gate = Gate()
    books.before = gate.stop_at(0)
    produce(kafka.bootstrap, topic, *(Sent(n, partition=n % 3) for n in range(3)))
    group = new_group()
    with running(books, kafka.bootstrap, group=group) as first:
        assert gate.reached.wait(30)
        with running(books, kafka.bootstrap, group=group) as second:
            eventually(lambda: not first.assigned)
            gate.opened.set()
            eventually(lambda: first.assigned and second.assigned)
            eventually(lambda: committed(kafka.bootstrap, group, topic, 3) == 3)
    assert sorted(books.paid) == [0, 1, 2]
    assert (first.consumer.counts.duplicate, second.consumer.counts.duplicate) == (0, 0)


def test_a_static_member_that_was_fenced_goes_on(kafka: TestKafka, books: Books, topic: str) -> None:
    """Its client never does: its own commit, that was on its way when its session ran out, may have done this."""
    settings = {"bootstrap.servers": kafka.bootstrap, "group.id": new_group(), "group.instance.id": "one"}
    with running(books, kafka.bootstrap, group=settings["group.id"], group_instance_id="one") as consumer:
        eventually(lambda: consumer.assigned == 3)
        client = consumer.consumer._kafka
        passer_by = KafkaConsumer(settings)
        passer_by.subscribe([topic])
        eventually(lambda: passer_by.poll(0.2) is None and consumer.consumer._kafka is not client)
        passer_by.close()
        produce(kafka.bootstrap, topic, *(Sent(n, partition=n % 3) for n in range(9)))
        eventually(lambda: len(books.paid) == 9)
    assert sorted(books.paid) == list(range(9))


def test_of_two_members_under_one_name_one_ends_with_its_error(kafka: TestKafka, books: Books, topic: str) -> None:
    group = new_group()
    both = [Running(books, kafka.bootstrap, group=group, group_instance_id="one") for _ in range(2)]
    try:
        eventually(lambda: [each.alive for each in both].count(False) == 1, timeout=60)
        produce(kafka.bootstrap, topic, *(Sent(n, partition=n % 3) for n in range(9)))
        eventually(lambda: len(books.paid) == 9)
    finally:
        for each in both:
            each.stop()
    [error] = [each.error for each in both if each.error]
    assert isinstance(error, KafkaException)
    assert "fenced" in str(error)


class Group:
    """Starts consumers of one group as processes."""

    def __init__(self, database: Database, kafka: TestKafka, topic: str) -> None:
        self.name = new_group()
        self._arguments = [PROGRAM, database.participant_url, kafka.bootstrap, topic, self.name]
        self.started: list[Process] = []

    def start(self, failpoint: str = "") -> Process:
        quick = ["session.timeout.ms=2000", "heartbeat.interval.ms=200"]
        self.started.append(Process([*self._arguments, *quick], env={"ONCEWARD_FAILPOINT": failpoint}))
        return self.started[-1]


@pytest.fixture
def group(database: Database, kafka: TestKafka, books: Books, topic: str) -> Iterator[Group]:
    group = Group(database, kafka, topic)
    yield group
    for process in group.started:
        process.__exit__()


@pytest.mark.parametrize(("failpoint", "kept"), [("consumer.handled", 0), ("consumer.committed", 1)])
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_at_a_named_point(
    kafka: TestKafka, books: Books, topic: str, group: Group, failpoint: str, kept: int, nth: int
) -> None:
    for number in range(nth + 1):
        produce(kafka.bootstrap, topic, Sent(number, partition=0))
    killed = group.start(f"{failpoint}:1")
    assert killed.wait() == -9
    assert len(books.paid) == (nth + 1) * kept, "one transaction, all or nothing"
    survivor = group.start()
    eventually(lambda: committed(kafka.bootstrap, group.name, topic, 3) == nth + 1)
    assert survivor.terminate() == 0
    assert books.paid == list(range(nth + 1))
    assert f"duplicate={(nth + 1) * kept}," in survivor.output


def test_killed_again_and_again(kafka: TestKafka, books: Books, topic: str, group: Group) -> None:
    sent = [Sent(n, b"%d" % (n % 20)) for n in range(3000)]
    for part in range(6):
        produce(kafka.bootstrap, topic, *sent[part * 500 : part * 500 + 500])
        process = group.start()
        eventually(partial(books.has_paid, part * 400 + 100))
        process.kill()
    group.start()
    eventually(lambda: len(books.paid) >= 3000, timeout=60)
    in_order_and_once(books, sent)


def test_a_frozen_consumer_that_wakes_up(kafka: TestKafka, books: Books, topic: str, group: Group) -> None:
    """A zombie: stopped in a transaction and past its session, replaced, and woken up to go on where it was."""
    sent = [Sent(n, b"%d" % (n % 10)) for n in range(2000)]
    with books.admin.begin() as connection:
        connection.execute(text("LOCK TABLE paid IN EXCLUSIVE MODE"))
        zombie = group.start()
        produce(kafka.bootstrap, topic, *sent[:1000])
        eventually(lambda: books.blocked)
        zombie.suspend()
    assert books.paid == []
    group.start()
    produce(kafka.bootstrap, topic, *sent[1000:])
    eventually(lambda: len(books.paid) >= 1000)
    zombie.resume()
    zombie.wait_for_output("lost")
    eventually(lambda: len(books.paid) >= 2000)
    in_order_and_once(books, sent)


def test_sigterm_ends_cleanly(kafka: TestKafka, books: Books, topic: str, group: Group) -> None:
    produce(kafka.bootstrap, topic, Sent(1))
    process = group.start()
    process.wait_for_output("paying 1")
    assert process.terminate() == 0
    assert "stopped Counts(handled=1," in process.output


def test_postgresql_goes_away_and_comes_back(kafka: TestKafka, own_postgres: EmbeddedPostgres) -> None:
    """The partition waits; nothing is parked, nothing lost, nothing twice."""
    with psycopg.connect(own_postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE books")
    url = own_postgres.url("books")
    migrations.install(url)
    admin = create_engine(sqlalchemy_url(url), pool_pre_ping=True)
    books = Books(admin, url)
    topic = kafka.create_topic(partitions=3)
    books.consume(topic)
    sent = [Sent(n, b"%d" % (n % 20)) for n in range(4000)]
    produce(kafka.bootstrap, topic, *sent[:2000])
    with running(books, kafka.bootstrap, group=new_group()) as consumer:
        eventually(lambda: len(books.paid) > 100)
        own_postgres.kill()
        produce(kafka.bootstrap, topic, *sent[2000:])
        eventually(lambda: consumer.consumer.counts.database_errors > 10)
        own_postgres.start()
        eventually(lambda: len(books.paid) >= 4000, timeout=60)
        own_postgres.restart()
    in_order_and_once(books, sent)
    assert books.parked == []
    books.engine.dispose()
    admin.dispose()


def test_a_topic_that_is_created_later_is_consumed(kafka: TestKafka, books: Books, topic: str) -> None:
    """Nor does it matter why it was unknown: a broker that has just started knows no topic for a while."""
    late = f"{topic}-late"
    books.consume(late)
    with running(books, kafka.bootstrap, group=new_group()) as consumer:
        eventually(lambda: consumer.assigned == 3)
        kafka.create_topic(late, partitions=1)
        produce(kafka.bootstrap, late, Sent(1))
        eventually(lambda: books.paid == [1])


@pytest.mark.timeout(300)  # it starts a broker twice
def test_kafka_goes_away_and_comes_back(own_kafka: KafkaServer, books: Books) -> None:
    topic = TestKafka(own_kafka).create_topic()
    books.consume(topic)
    sent = [Sent(n, b"%d" % (n % 20)) for n in range(2000)]
    produce(own_kafka.bootstrap, topic, *sent[:1000])
    with running(books, own_kafka.bootstrap, group=new_group()):
        eventually(lambda: len(books.paid) > 100)
        own_kafka.kill()
        own_kafka.start()
        produce(own_kafka.bootstrap, topic, *sent[1000:])
        eventually(lambda: len(books.paid) >= 2000, timeout=120)
        own_kafka.kill()
    in_order_and_once(books, sent)
