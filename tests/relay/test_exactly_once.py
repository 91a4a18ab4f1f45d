"""Exactly-once mode: what a reader of committed messages sees, what is planned, and the ways in and out of the mode."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from onceward_relay.cli import main
from onceward_relay.errors import KafkaTrouble
from onceward_relay.kafka import LARGEST_BATCH
from onceward_relay.routes import RoutedTopics, Routes
from onceward_relay.sender import Link
from onceward_relay.topics import Topics
from onceward_relay.transactions import Transactions
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import Relay, by_key, connect, publish, publish_many, relaying, rows, values

NEWEST = "SELECT page, confirmed FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1"
LIMIT = {"max.message.bytes": "2000"}
BIG = b"x" * 3000
RELEASE = "UPDATE onceward.hold SET state = 'releasing'"


@contextmanager
def exactly_once(database: Database, kafka: TestKafka, delivery: str = "exactly_once") -> Iterator[Relay]:
    """Run a relay of `database` under a name of its own: others use the same Kafka."""
    with relaying(database, kafka, name=database.name, source={"delivery": delivery}) as running:
        yield running


def place(page: int = -1) -> TopicPartition:
    return TopicPartition("onceward-pages", 0, page)


@contextmanager
def member(database: Database, kafka: TestKafka) -> Iterator[Consumer]:
    options = {"bootstrap.servers": kafka.bootstrap, "group.id": f"onceward-{database.name}"}
    consumer = Consumer({**options, "enable.auto.commit": False})
    yield consumer
    consumer.close()


def committed(database: Database, kafka: TestKafka) -> int:
    """The page that Kafka knows as the last."""
    with member(database, kafka) as consumer:
        return int(consumer.committed([place()], timeout=20)[0].offset)


def pretend(database: Database, kafka: TestKafka, page: int | None) -> None:
    """Let Kafka know another page as the last, or none."""
    if page is None:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.delete_consumer_groups([f"onceward-{database.name}"])[f"onceward-{database.name}"].result(20)
        return
    with member(database, kafka) as consumer:
        consumer.commit(offsets=[place(page)], asynchronous=False)


def settle(database: Database, kafka: TestKafka, topic: str, count: int, *, first: int = 0, again: int = 0) -> int:
    """Send some messages in the mode, after `again` that go again; return the last page."""
    with connect(database.url) as owner, exactly_once(database, kafka) as relay:
        publish_many(owner, topic, count, first=first)
        relay.wait_settled(count + again)
    [(page, confirmed)] = rows(database, NEWEST)
    assert confirmed
    return int(page)


def plan_again(database: Database) -> None:
    """Go back to the plan of the last page, as if its confirmation had been lost."""
    rows(
        database,
        "DELETE FROM onceward.checkpoint c USING (SELECT epoch, seq FROM onceward.checkpoint WHERE NOT confirmed"
        " ORDER BY epoch DESC, seq DESC LIMIT 1) plan WHERE (c.epoch, c.seq) > (plan.epoch, plan.seq) RETURNING 1",
    )
    assert rows(database, NEWEST)[0][1] is False


def numbers(kafka: TestKafka, topic: str) -> list[int]:
    return sorted(int(value) for value in values(kafka.records(topic)))


def test_small_and_large_windows(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as owner:
        publish_many(owner, topic, 12_000)
        with exactly_once(database, kafka) as relay:
            relay.wait_settled(12_000)
            for number in range(12_000, 12_020):
                publish(owner, topic, f"k{number % 10}", str(number))
            relay.wait_settled(12_020)
    found = by_key(kafka.records(topic))
    assert found == {f"k{key}".encode(): [str(n) for n in range(key, 12_020, 10)] for key in range(10)}
    [(page, confirmed)] = rows(database, NEWEST)
    assert (confirmed, page) == (True, committed(database, kafka))
    assert page >= 4


class TestRecover:
    """What a new owner does, by the newest checkpoint and the page that Kafka knows as the last."""

    @pytest.fixture
    def topic(self, kafka: TestKafka) -> str:
        return kafka.create_topic(partitions=1)

    def test_confirmed_and_known(self, database: Database, kafka: TestKafka, topic: str) -> None:
        page = settle(database, kafka, topic, 5)
        assert settle(database, kafka, topic, 5, first=5) == page + 1 == committed(database, kafka)
        assert numbers(kafka, topic) == list(range(10))

    def test_confirmed_and_forgotten_by_kafka(self, database: Database, kafka: TestKafka, topic: str) -> None:
        """As after seven idle days. Kafka is told again, so that the next plan has something to be compared with."""
        page = settle(database, kafka, topic, 5)
        pretend(database, kafka, None)
        with exactly_once(database, kafka) as relay:
            relay.wait_owner()
            eventually(lambda: committed(database, kafka) == page)
        settle(database, kafka, topic, 5, first=5)
        assert numbers(kafka, topic) == list(range(10))

    def test_planned_and_committed(self, database: Database, kafka: TestKafka, topic: str) -> None:
        settle(database, kafka, topic, 5)
        plan_again(database)
        settle(database, kafka, topic, 5, first=5)
        assert numbers(kafka, topic) == list(range(10))

    def test_planned_and_not_committed(self, database: Database, kafka: TestKafka, topic: str) -> None:
        """Then the very same rows go: here all of them a second time, for in truth they were committed."""
        page = settle(database, kafka, topic, 5)
        plan_again(database)
        pretend(database, kafka, page - 1)
        assert settle(database, kafka, topic, 5, first=5, again=5) == page + 1
        assert numbers(kafka, topic) == sorted([*range(5), *range(10)])

    @pytest.mark.parametrize(
        ("planned", "kafkas"),
        [(False, +1), (False, -1), (True, +1), (True, 0), (True, -2), (True, None)],
    )
    def test_anything_else_halts(
        self, database: Database, kafka: TestKafka, topic: str, planned: bool, kafkas: int | None
    ) -> None:
        """Also the planned number, if the page was committed by somebody else: another source of the same name."""
        settle(database, kafka, topic, 5)
        page = settle(database, kafka, topic, 5, first=5)
        if planned:
            plan_again(database)
        pretend(database, kafka, None if kafkas is None else page + kafkas)
        before = rows(database, NEWEST)
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            publish(owner, topic, "k", "10")
            eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
            assert f"the checkpoint page {page}" in relay.state.reason
            assert "onceward relay reconcile --anyway" in relay.state.reason
        assert numbers(kafka, topic) == list(range(10))
        assert rows(database, NEWEST) == before


def test_a_halted_source_goes_on_once_a_person_has_decided(database: Database, kafka: TestKafka) -> None:
    """What Kafka has is skipped, the rest goes; pages are counted on from Kafka's number."""
    sent, lost = kafka.create_topic(partitions=1), kafka.create_topic(partitions=1)
    with connect(database.url) as owner, exactly_once(database, kafka) as relay:
        publish_many(owner, sent, 5)
        publish_many(owner, lost, 5)
        relay.wait_settled(10)
    pretend(database, kafka, 40)
    with exactly_once(database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
    options = ["--actor", "ada", "--reason", "a failover", "--anyway", "--skip-topic", sent, "--apply"]
    done = CliRunner().invoke(main, ["relay", "reconcile", "--database", database.url, *options])
    assert done.exit_code == 0, done.output
    with exactly_once(database, kafka) as relay:
        relay.wait_settled(5)
    assert numbers(kafka, sent) == list(range(5))
    assert numbers(kafka, lost) == sorted([*range(5), *range(5)])
    assert committed(database, kafka) == 41


class TestPoison:
    """What Kafka refuses in the middle of a page is set aside; the rest of the page goes once."""

    def test_its_key_waits_and_the_rest_of_the_page_goes(self, database: Database, kafka: TestKafka) -> None:
        """Also what its key has sent before it, in the same page."""
        topic = kafka.create_topic(partitions=1)
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            publish(owner, topic, "warm", "up")
            relay.wait_settled(1)  # what the topic takes is known now, and changes behind the relay's back
            kafka.configure(topic, max_message_bytes="2000")
            with owner.transaction():
                for key, payload in (("a", "a1"), ("b", "b1"), ("a", BIG), ("a", "a2"), ("b", "b2")):
                    publish(owner, topic, key, payload)
            relay.wait_settled(6)
        assert by_key(kafka.records(topic)) == {b"warm": ["up"], b"a": ["a1"], b"b": ["b1", "b2"]}
        assert rows(database, "SELECT state FROM onceward.held_message ORDER BY id") == [("poison",), ("behind",)]

    def test_it_is_not_sent_again_with_its_page(self, database: Database, kafka: TestKafka) -> None:
        topic = kafka.create_topic(partitions=1, **LIMIT)
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            with owner.transaction():
                for payload in (b"1", BIG, b"2"):
                    publish(owner, topic, "k", payload)
                publish(owner, topic, None, BIG)
                publish(owner, topic, "other", "3")
            relay.wait_settled(5)
        plan_again(database)
        pretend(database, kafka, rows(database, NEWEST)[0][0] - 1)
        kafka.configure(topic, max_message_bytes="10000")
        rows(database, "DELETE FROM onceward.held_message WHERE key IS NULL RETURNING 1")  # as if it was retried
        with exactly_once(database, kafka) as relay:
            relay.wait_settled(2)
        assert values(kafka.records(topic)) == ["1", "3"] * 2
        assert rows(database, "SELECT state FROM onceward.held_message ORDER BY id") == [("poison",), ("behind",)]

    def test_a_page_of_nothing_but_held_messages(self, database: Database, kafka: TestKafka) -> None:
        topic = kafka.create_topic(partitions=1, **LIMIT)
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            publish(owner, topic, "k", BIG)
            relay.wait_settled(1)
            publish(owner, topic, "k", "behind")
            relay.wait_settled(2)
        assert kafka.records(topic) == []

    def test_a_missing_topic_is_held_and_heals(self, database: Database, kafka: TestKafka) -> None:
        topic = kafka.create_topic() + "-missing"
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            publish_many(owner, topic, 20)
            relay.wait_settled(20)
            kafka.create_topic(topic)
            eventually(lambda: rows(database, "SELECT FROM onceward.hold") == [])
            publish_many(owner, topic, 10, first=20)
            relay.wait_settled(30)
        assert by_key(kafka.records(topic)) == {
            f"k{key}".encode(): [str(n) for n in range(key, 30, 10)] for key in range(10)
        }


class TestReleases:
    """A page of a hold is a page like any other."""

    @pytest.fixture
    def topic(self, database: Database, kafka: TestKafka) -> str:
        """One of which a key is held, with three messages, and can be sent by now."""
        topic = kafka.create_topic(partitions=1, **LIMIT)
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            for payload in (BIG, b"1", b"2"):
                publish(owner, topic, "k", payload)
            relay.wait_settled(3)
        kafka.configure(topic, max_message_bytes="10000")
        return topic

    def release(self, database: Database, kafka: TestKafka) -> None:
        with exactly_once(database, kafka):
            eventually(lambda: rows(database, "SELECT FROM onceward.hold") == [])

    def test_it_goes_in_order(self, database: Database, kafka: TestKafka, topic: str) -> None:
        rows(database, RELEASE + " RETURNING 1")
        with connect(database.url) as owner:
            publish(owner, topic, "k", "3")
        self.release(database, kafka)
        assert values(kafka.records(topic)) == [BIG.decode(), "1", "2", "3"]
        assert rows(database, "SELECT FROM onceward.incident WHERE closed_at IS NULL") == []

    @pytest.mark.parametrize("known", [True, False])
    def test_a_page_that_was_planned(self, database: Database, kafka: TestKafka, topic: str, known: bool) -> None:
        """Its confirmation lets its messages go in the same transaction, so without it they are all there."""
        copies = (
            rows(database, "SELECT to_jsonb(h) FROM onceward.hold h"),
            rows(database, "SELECT to_jsonb(m) FROM onceward.held_message m ORDER BY id"),
        )
        rows(database, RELEASE + " RETURNING 1")
        self.release(database, kafka)
        page = rows(database, NEWEST)[0][0]
        plan_again(database)
        put_back(database, *copies)
        if not known:
            pretend(database, kafka, page - 1)
        self.release(database, kafka)
        assert values(kafka.records(topic)) == [BIG.decode(), "1", "2"] * (1 if known else 2)
        assert rows(database, "SELECT FROM onceward.held_message") == []

    def test_what_is_refused_again_is_held_again_and_what_was_before_it_is_sent(
        self, database: Database, kafka: TestKafka
    ) -> None:
        topic = kafka.create_topic() + "-missing"
        with connect(database.url) as owner, exactly_once(database, kafka) as relay:
            for key, payload in (("a", b"a1"), ("a", BIG), ("a", b"a2"), ("b", b"b1")):
                publish(owner, topic, key, payload)
            relay.wait_settled(4)
            kafka.create_topic(topic, partitions=1, **LIMIT)
            eventually(lambda: rows(database, "SELECT scope, key FROM onceward.hold") == [("key", b"a")])
            rows(database, RELEASE + " RETURNING 1")
            eventually(lambda: rows(database, "SELECT state FROM onceward.hold") == [("held",)])
        assert by_key(kafka.records(topic)) == {b"a": ["a1"], b"b": ["b1"]}
        assert rows(database, "SELECT state FROM onceward.held_message ORDER BY id") == [("poison",), ("behind",)]


def put_back(database: Database, holds: list[Any], messages: list[Any]) -> None:
    """Put a hold back as it was while it was being released."""
    with connect(database.url) as owner:
        for name, found in (("hold", holds), ("held_message", messages)):
            for (copy,) in found:
                owner.execute(
                    f"INSERT INTO onceward.{name} SELECT * FROM jsonb_populate_record(NULL::onceward.{name}, %s)",
                    (json.dumps(copy),),
                )
        owner.execute(RELEASE)


class TestSwitching:
    """From one mode to the other and back, with nothing lost and nothing twice."""

    def test_there_and_back_and_there_again(self, database: Database, kafka: TestKafka) -> None:
        topic = kafka.create_topic(partitions=1)
        pages: list[int | None] = []
        with connect(database.url) as owner:
            for turn, delivery in enumerate(["at_least_once", "exactly_once", "at_least_once", "exactly_once"]):
                with exactly_once(database, kafka, delivery) as relay:
                    publish_many(owner, topic, 10, first=10 * turn)
                    relay.wait_settled(10)
                pages.append(rows(database, NEWEST)[0][0])
        assert numbers(kafka, topic) == list(range(40))
        assert pages == [None, 1, None, 2]

    @pytest.mark.parametrize("known", [True, False])
    def test_a_page_that_is_planned_is_finished_before_the_mode_is_left(
        self, database: Database, kafka: TestKafka, known: bool
    ) -> None:
        topic = kafka.create_topic(partitions=1)
        page = settle(database, kafka, topic, 10)
        plan_again(database)
        if not known:
            pretend(database, kafka, page - 1)
        with connect(database.url) as owner, exactly_once(database, kafka, "at_least_once") as relay:
            publish_many(owner, topic, 10, first=10)
            relay.wait_settled(10 if known else 20)
        assert numbers(kafka, topic) == sorted([*([] if known else range(10)), *range(20)])
        assert committed(database, kafka) == page
        assert rows(database, NEWEST)[0][0] is None


def test_a_producer_that_was_overtaken_is_fenced_by_kafka(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    options = {"bootstrap.servers": kafka.bootstrap}
    log = logging.getLogger("onceward.test")
    log.setLevel(logging.CRITICAL + 1)
    link = Link(database.name, "test", options, RoutedTopics(Topics(options, log), Routes()), 20, log)
    old, new = Transactions(link, lambda: None), Transactions(link, lambda: None)
    old.take_over(LARGEST_BATCH)
    producer = old.begin_with(LARGEST_BATCH)
    producer.produce(topic, b"of the zombie")
    producer.flush(20)
    assert new.take_over(LARGEST_BATCH) is None
    with pytest.raises(KafkaTrouble, match="has taken over") as caught:
        old.commit(1, "")
    assert caught.value.kind == "fenced"
    new.begin_with(LARGEST_BATCH).produce(topic, b"of the owner")
    new.commit(1, "")
    assert values(kafka.records(topic)) == ["of the owner"]
    assert committed(database, kafka) == 1
    old.close()
    new.close()


def test_plans_are_durable_before_anything_is_committed(database: Database, kafka: TestKafka) -> None:
    """A plan that a crash of PostgreSQL takes back, of a page that Kafka has, would be a halt."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.url) as owner:
        owner.execute("CREATE TABLE public.seen (planned boolean, how text)")
        owner.execute("GRANT INSERT ON public.seen TO PUBLIC")
        owner.execute(
            "CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen"
            " VALUES (NEW.planned_s1 IS NOT NULL, current_setting('synchronous_commit')); RETURN NEW; END $$"
        )
        owner.execute(
            "CREATE TRIGGER see BEFORE INSERT ON onceward.checkpoint FOR EACH ROW EXECUTE FUNCTION public.see()"
        )
        with exactly_once(database, kafka) as relay:
            for number, payload in enumerate((b"1", BIG, b"2"), start=1):
                publish(owner, topic, f"k{number}", payload)
                relay.wait_settled(number)
    assert set(rows(database, "SELECT how FROM public.seen WHERE planned")) == {("on",)}
    assert ("off",) in rows(database, "SELECT how FROM public.seen WHERE NOT planned")


def test_rows_of_a_planned_page_stay_in_the_outbox(database: Database, kafka: TestKafka) -> None:
    """Rotation empties what is confirmed; a page that may have to go again is not."""
    topic = kafka.create_topic(partitions=1)
    settle(database, kafka, topic, 5)
    settled = "SELECT bool_and(onceward.is_settled(n::smallint)) FROM generate_series(0, 2) n"
    assert rows(database, settled) == [(True,)]
    plan_again(database)
    assert rows(database, settled) == [(False,)]
