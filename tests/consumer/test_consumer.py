"""Consuming from Apache Kafka: once, in order per key, whatever comes."""

import json
import re
from collections import defaultdict
from functools import partial
from threading import Event
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from sqlalchemy.orm import Session

from onceward.errors import SchemaError
from tests.consumer.kafka import Running, Sent, committed, new_group, produce, produce_with_header, running
from tests.consumer.support import Books, Paid, failing, headers_of
from tests.servers.kafka import TestKafka
from tests.support import eventually


@pytest.fixture
def topic(kafka: TestKafka, books: Books) -> str:
    name = kafka.create_topic(partitions=3)
    books.consume(name)
    return name


def numbers_by_key(sent: list[Sent]) -> dict[bytes | None, list[int]]:
    found = defaultdict(list)
    for each in sent:
        found[each.key].append(each.number)
    return found


def test_every_message_takes_effect_once_and_in_order_per_key(kafka: TestKafka, books: Books, topic: str) -> None:
    sent = [Sent(n, b"%d" % (n % 20)) for n in range(3000)]
    produce(kafka.bootstrap, topic, *sent)
    group = new_group()
    with running(books, kafka.bootstrap, group=group):
        eventually(lambda: len(books.paid) == 3000, timeout=60)
    place = {number: n for n, number in enumerate(books.paid)}
    assert sorted(place) == list(range(3000))
    for numbers in numbers_by_key(sent).values():
        assert [place[n] for n in numbers] == sorted(place[n] for n in numbers)
    assert committed(kafka.bootstrap, group, topic, 3) == 3000


def test_a_consumer_goes_on_where_the_last_one_stopped(kafka: TestKafka, books: Books, topic: str) -> None:
    group = new_group()
    for end in (10, 20, 30):
        produce(kafka.bootstrap, topic, *(Sent(n) for n in range(end - 10, end)))
        with running(books, kafka.bootstrap, group=group) as consumer:
            eventually(partial(books.has_paid, end))
        assert consumer.consumer.counts.duplicate == 0
    assert books.paid == list(range(30))


def test_without_its_offsets_a_group_has_its_inbox(kafka: TestKafka, books: Books, topic: str) -> None:
    produce(kafka.bootstrap, topic, *(Sent(n) for n in range(10)))
    with running(books, kafka.bootstrap, group="a") as consumer:
        eventually(lambda: len(books.paid) == 10)
    group = new_group()
    with books.admin.begin() as connection:
        connection.exec_driver_sql(f"UPDATE onceward.inbox SET consumer = '{group}'")
    with running(books, kafka.bootstrap, group=group) as consumer:
        eventually(lambda: consumer.consumer.counts.duplicate == 10)
    assert books.paid == list(range(10))


def test_a_poison_message_holds_its_key_and_heals(kafka: TestKafka, books: Books, topic: str) -> None:
    books.before = failing(1)
    produce(kafka.bootstrap, topic, *(Sent(n, b"%d" % (n % 2), partition=0) for n in range(10)))
    group = new_group()
    with running(books, kafka.bootstrap, group=group):
        eventually(lambda: len(books.parked) == 5)
        assert books.paid == [0, 2, 4, 6, 8]
        eventually(lambda: committed(kafka.bootstrap, group, topic, 3) == 10)
        books.before = failing()
        eventually(lambda: len(books.paid) == 10)
    assert books.paid == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    assert (books.parked, books.holds, books.incidents) == ([], [], 0)


STRUCTURED = {"specversion": "1.0", "id": "7", "source": "/other", "type": "Paid", "data": {"number": 1}}


def test_what_other_producers_write_is_read_or_parked(kafka: TestKafka, books: Books, topic: str) -> None:
    produce(
        kafka.bootstrap,
        topic,
        Sent(0, headers=[("content-type", b"application/cloudevents+json")], value=json.dumps(STRUCTURED).encode()),
        Sent(2, headers=headers_of("order-7")),
        Sent(3, headers=[*headers_of(), ("x", None), ("x", b"\xff"), ("content-type", b"text/plain"), ("ä", b"")]),
        Sent(4, b"no headers", headers=[]),
        Sent(5, b"foreign", headers=[("id", b"5"), ("type", b"Paid")]),
        Sent(6, None, headers=headers_of(id=None)),
        Sent(7, b"", headers=headers_of(id="")),
        Sent(8, b"deep", value=b'{"number":' + b"[" * 100_000),
        Sent(9, b"large" * 150_000, headers=headers_of(type="")),
        Sent(10),
    )
    with running(books, kafka.bootstrap, group=new_group()) as consumer:
        eventually(lambda: len(books.paid) + len(books.parked) >= 10)
        assert sorted(books.paid) == [1, 2, 3, 10]
        assert consumer.consumer.counts.unreadable == 5
    assert {re.split("; | at line", error.splitlines()[0])[0] for error in books.errors} == {
        "UnreadableMessage: ce_specversion: is missing",
        "UnreadableMessage: ce_id: is missing",
        "UnreadableMessage: ce_id: has 0 characters",
        "UnreadableMessage: ce_type: has 0 characters",
        "ValidationError: payload: Invalid JSON: recursion limit exceeded",
    }


YEAR_20000, NO_YEAR = 568_971_820_800_000, 2**62


def test_timestamps_that_no_calendar_knows_are_left_out(kafka: TestKafka, books: Books) -> None:
    anything = {"message_timestamp_after_max_ms": str(2**63 - 1), "message_timestamp_before_max_ms": str(2**63 - 1)}
    topic = kafka.create_topic(partitions=1, **anything)
    books.consume(topic)
    times = [YEAR_20000, NO_YEAR, 1_000_000_000_000]
    produce(kafka.bootstrap, topic, *(Sent(n, b"poison", headers=[], milliseconds=t) for n, t in enumerate(times)))
    produce(kafka.bootstrap, topic, Sent(7, milliseconds=YEAR_20000))
    with running(books, kafka.bootstrap, group=new_group()):
        eventually(lambda: books.paid and len(books.parked) == 3)
    kept = "SELECT extract(epoch FROM record_time)::bigint FROM onceward.inbox_parked ORDER BY seq"
    assert books.rows(kept) == [None, None, 1_000_000_000]


def test_a_header_whose_name_is_not_utf8_is_parked(kafka: TestKafka, books: Books, topic: str) -> None:
    """Also after many good ones: the interpreter then calls the client without looking for what it left behind."""
    produce(kafka.bootstrap, topic, *(Sent(n, key=b"other", partition=0) for n in range(100)))
    with running(books, kafka.bootstrap, group=new_group()):
        eventually(lambda: len(books.paid) == 100)
        produce_with_header(kafka.bootstrap, topic, b"\xff", key=b"k")
        produce(kafka.bootstrap, topic, Sent(100, key=b"other"))
        eventually(lambda: len(books.paid) == 101 and books.parked)
    assert books.errors[0].startswith("UnreadableMessage: headers: cannot be read: a name is not UTF-8")
    assert books.holds == [b"k"]


def test_a_tombstone_and_an_empty_value_arrive_as_they_are(kafka: TestKafka, books: Books, topic: str) -> None:
    seen: list[bytes | None] = []
    books.participant.on(topic, None)(lambda session, event: seen.append(event))
    books.participant.on(topic, bytes, type="raw")(lambda session, event: seen.append(event))
    tombstone = Sent(0, headers=headers_of(type="tombstone"), tombstone=True)
    produce(kafka.bootstrap, topic, tombstone, Sent(1, headers=headers_of(type="raw"), value=b""))
    with running(books, kafka.bootstrap, group=new_group()):
        eventually(lambda: len(seen) >= 2)
    assert seen == [None, b""]


def test_aborted_kafka_transactions_never_happened(kafka: TestKafka, books: Books, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": str(uuid4())})
    producer.init_transactions(30)
    for number, end in [(1, producer.abort_transaction), (2, producer.commit_transaction)]:
        producer.begin_transaction()
        producer.produce(topic, b'{"number": %d}' % number, b"k", headers=[*headers_of()])
        producer.flush(30)
        end(30)
    with running(books, kafka.bootstrap, group=new_group()):
        eventually(lambda: books.paid)
    assert books.paid == [2]


def test_a_topic_may_come_later_than_its_consumer(kafka: TestKafka, books: Books) -> None:
    name = f"late-{uuid4().hex}"
    books.consume(name)
    with running(books, kafka.bootstrap, group=new_group(), topic_metadata_refresh_interval_ms=500):
        kafka.create_topic(name)
        produce(kafka.bootstrap, name, Sent(1))
        eventually(lambda: books.paid == [1])


def test_a_handler_behind_its_records_lets_no_more_be_fetched(
    kafka: TestKafka, books: Books, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded, and all of it is handled in order when the handler goes on."""
    monkeypatch.setattr("onceward.inbox.lane.CROWDED_RECORDS", 100)
    gate = Event()

    def before(session: Session, event: Paid) -> None:
        assert gate.wait(60)

    books.before = before
    produce(kafka.bootstrap, topic, *(Sent(n, partition=0) for n in range(5000)))
    with running(books, kafka.bootstrap, group=new_group()) as consumer:
        eventually(lambda: any(lane.paused for lane in consumer.consumer._lanes.values()))
        [crowded] = [lane for lane in consumer.consumer._lanes.values() if lane.paused]
        assert len(crowded._waiting) <= 100 + 2 * 500
        gate.set()
        eventually(lambda: len(books.paid) == 5000, timeout=60)
    assert books.paid == list(range(5000))


def test_a_database_without_the_schema_ends_the_consumer_with_a_word(
    kafka: TestKafka, books: Books, topic: str
) -> None:
    with books.admin.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA onceward CASCADE")
    produce(kafka.bootstrap, topic, Sent(1))
    consumer = Running(books, kafka.bootstrap, group=new_group())
    eventually(lambda: not consumer.alive)
    assert isinstance(consumer.error, SchemaError)
    assert "onceward schema install" in str(consumer.error)
