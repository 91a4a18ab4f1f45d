"""What was held goes out in order once a person says so, and nothing behind it before."""

from typing import Any

import psycopg
import pytest

from onceward_relay import releases, sender
from onceward_relay.kafka import Producer
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import by_key, connect, publish, publish_many, relaying, rows, values

LIMIT = {"max_message_bytes": "2000"}
BIG = b"x" * 3000
RELEASE = "SELECT onceward.release_hold(hold_id, 'ada', 'the topic was widened') FROM onceward.hold"
SKIP = "SELECT onceward.skip_message(%s, 'ada', 'it was a mistake')"
RETRY = "SELECT onceward.retry_message(%s, 'ada', 'the topic was widened')"


def states(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT state, hold_id IS NOT NULL FROM onceward.held_message ORDER BY id")


def open_incidents(database: Database) -> int:
    return int(rows(database, "SELECT count(*) FROM onceward.incident WHERE closed_at IS NULL")[0][0])


def wait_until_released(database: Database) -> None:
    eventually(lambda: rows(database, "SELECT count(*) FROM onceward.hold") == [(0,)])


def test_a_released_key_goes_out_in_order_before_what_comes_after(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", BIG)
        for number in range(5):
            publish(app, topic, "k", str(number))
        relay.wait_settled(6)
        kafka.configure(topic, max_message_bytes="10000")
        rows(database, RELEASE)
        for number in range(5, 10):
            publish(app, topic, "k", str(number))
        wait_until_released(database)
        publish(app, topic, "k", "10")
        eventually(lambda: len(kafka.records(topic)) == 12)
        assert relay.count("released_total") >= 6
        assert relay.count("holds", scope="key") == 0
    assert by_key(kafka.records(topic))[b"k"] == [BIG.decode(), *(str(number) for number in range(11))]
    assert states(database) == []
    assert open_incidents(database) == 0


def test_what_is_refused_again_is_held_again(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", BIG)
        publish(app, topic, "k", "behind")
        relay.wait_settled(2)
        rows(database, RELEASE)
        eventually(lambda: rows(database, "SELECT times FROM onceward.incident") == [(2,)])
        publish(app, topic, "k", "later")
        relay.wait_settled(3)
    assert rows(database, "SELECT state FROM onceward.hold") == [("held",)]
    assert states(database) == [("poison", True), ("behind", True), ("behind", True)]
    assert kafka.records(topic) == []


def test_a_skipped_message_is_left_out_and_its_key_goes_on(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        poison = publish(app, topic, "k", BIG)
        publish(app, topic, "k", "behind")
        relay.wait_settled(2)
        rows(database, SKIP, poison)
        assert open_incidents(database) == 0
        rows(database, RELEASE)
        wait_until_released(database)
    assert values(kafka.records(topic)) == ["behind"]
    assert states(database) == [("skipped", False)], "its copy stays"


def test_two_poisons_of_a_key_are_two_decisions(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        first = publish(app, topic, "k", BIG)
        publish(app, topic, "k", "1")
        publish(app, topic, "k", BIG)
        publish(app, topic, "k", "2")
        relay.wait_settled(4)
        rows(database, SKIP, first)
        rows(database, RELEASE)
        eventually(lambda: states(database) == [("skipped", True), ("poison", True), ("behind", True)])
    assert values(kafka.records(topic)) == ["1"]
    assert rows(database, "SELECT state FROM onceward.hold") == [("held",)]


def test_a_message_without_a_key_is_retried_alone(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        poison = publish(app, topic, None, BIG)
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes="10000")
        rows(database, RETRY, poison)
        eventually(lambda: len(kafka.records(topic)) == 1)
    [record] = kafka.records(topic)
    assert dict(record.headers() or [])["ce_id"] == poison.encode()
    assert states(database) == []
    assert open_incidents(database) == 0


def test_a_missing_topic_heals_by_itself(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic() + "-missing"
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        for number in range(3):
            publish(app, topic, "k", str(number))
        relay.wait_settled(3)
        assert rows(database, "SELECT scope, heals FROM onceward.hold") == [("topic", True)]
        kafka.create_topic(topic)
        wait_until_released(database)
        publish(app, topic, "k", "3")
        eventually(lambda: len(kafka.records(topic)) == 4)
    assert by_key(kafka.records(topic)) == {b"k": ["0", "1", "2", "3"]}
    assert open_incidents(database) == 0


def test_a_poison_in_a_released_topic_holds_its_key_only(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic() + "-missing"
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "a", "a1")
        publish(app, topic, "a", BIG)
        publish(app, topic, "a", "a2")
        publish(app, topic, "b", "b1")
        publish(app, topic, None, BIG)
        relay.wait_settled(5)
        kafka.create_topic(topic, max_message_bytes="2000")
        eventually(lambda: rows(database, "SELECT scope, key FROM onceward.hold") == [("key", b"a")])
        publish(app, topic, "a", "a3")
        publish(app, topic, "b", "b2")
        eventually(lambda: len(kafka.records(topic)) == 3)
        eventually(lambda: len(states(database)) == 4)
    assert by_key(kafka.records(topic)) == {b"a": ["a1"], b"b": ["b1", "b2"]}
    assert states(database) == [("poison", True), ("behind", True), ("poison", False), ("behind", True)]


def test_a_long_hold_is_released_page_by_page(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic() + "-missing"
    count = 12_000
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish_many(owner, topic, count)
        relay.wait_settled(count)
        kafka.create_topic(topic)
        wait_until_released(database)
        publish_many(owner, topic, 10, first=count)
        eventually(lambda: len(kafka.records(topic)) == count + 10)
    found = by_key(kafka.records(topic))
    assert all(numbers == sorted(numbers, key=int) for numbers in found.values())


def test_a_release_outlives_the_relay(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app:
        with relaying(database, kafka) as relay:
            publish(app, topic, "k", BIG)
            publish(app, topic, "k", "behind")
            relay.wait_settled(2)
        kafka.configure(topic, max_message_bytes="10000")
        rows(database, RELEASE)
        with relaying(database, kafka):
            wait_until_released(database)
    assert values(kafka.records(topic)) == [BIG.decode(), "behind"]


class TestDecisions:
    """Each is recorded with who and why; what cannot be decided says so."""

    @pytest.fixture
    def poison(self, database: Database, kafka: TestKafka) -> str:
        topic = kafka.create_topic(partitions=1, **LIMIT)
        with connect(database.participant_url) as app, relaying(database, kafka) as relay:
            message = publish(app, topic, "k", BIG)
            publish(app, topic, "k", "behind")
            relay.wait_settled(2)
        return message

    def test_they_are_in_the_audit(self, database: Database, poison: str) -> None:
        rows(database, SKIP, poison)
        rows(database, RELEASE)
        entries = rows(database, "SELECT actor, action, subject_kind, reason, body FROM onceward.audit ORDER BY no")
        assert [entry[:4] for entry in entries] == [
            ("ada", "message.skip", "message", "it was a mistake"),
            ("ada", "hold.release", "hold", "the topic was widened"),
        ]
        assert entries[1][4]["messages"] == 1
        assert "xxx" not in str(entries), "never a payload"

    @pytest.mark.parametrize(
        ("first", "then", "problem"),
        [
            (RELEASE, RELEASE, "is being released already"),
            (RELEASE, SKIP, "is being released with its hold"),
            (SKIP, SKIP, "no message .* waits"),
            (None, RETRY, "waits in a hold, in its order"),
        ],
    )
    def test_what_cannot_be_decided_changes_nothing(
        self, database: Database, poison: str, first: str | None, then: str, problem: str
    ) -> None:
        if first:
            rows(database, first, *[poison] * first.count("%s"))
        before = states(database), rows(database, "SELECT count(*) FROM onceward.audit")
        with pytest.raises(psycopg.Error, match=problem):
            rows(database, then, *[poison] * then.count("%s"))
        assert (states(database), rows(database, "SELECT count(*) FROM onceward.audit")) == before

    def test_only_people_decide(self, database: Database, poison: str) -> None:
        for url in (database.participant_url, database.relay_url):
            with connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(SKIP, (poison,))


def hold_many(database: Database, kafka: TestKafka, topic: str, count: int) -> None:
    """Hold so many keys, and let Kafka take what was refused."""
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        for number in range(count):
            publish(app, topic, f"k{number}", BIG)
        relay.wait_settled(count)
    kafka.configure(topic, max_message_bytes="10000")


def test_many_holds_share_one_producer(database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one takes half a second until Kafka has given it an id: a thousand keys would take minutes."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    hold_many(database, kafka, topic, 20)
    made: list[object] = []

    def make(*arguments: Any, **named: Any) -> Producer:
        made.append(arguments)
        return Producer(*arguments, **named)

    monkeypatch.setattr(sender, "Producer", make)
    rows(database, RELEASE)
    with relaying(database, kafka):
        wait_until_released(database)
    assert len(kafka.records(topic)) == 20
    assert len(made) == 2, "one for all the holds, beside that of what comes from the outbox"


def test_other_keys_have_their_turn_while_many_are_released(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    hold_many(database, kafka, topic, 20)
    monkeypatch.setattr(releases, "TURN", 0)
    rows(database, RELEASE)
    with connect(database.participant_url) as app:
        publish(app, topic, "other", "other")
    with relaying(database, kafka):
        wait_until_released(database)
        eventually(lambda: len(kafka.records(topic)) == 21)
    keys = [record.key() for record in kafka.records(topic)]
    assert keys.index(b"other") < 20, "it did not wait for all of them"


def test_a_release_long_after_the_start(database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as silence of Kafka begins when something is sent."""

    def made_long_ago(*arguments: Any) -> sender.Sender:
        made = sender.Sender(*arguments)
        made._moved_at -= 1000
        return made

    monkeypatch.setattr(releases, "Sender", made_long_ago)
    topic = kafka.create_topic(partitions=1, **LIMIT)
    hold_many(database, kafka, topic, 1)
    rows(database, RELEASE)
    with relaying(database, kafka) as relay:
        wait_until_released(database)
        assert relay.count("errors_total", kind="kafka_stalled") == 0
    assert len(kafka.records(topic)) == 1
