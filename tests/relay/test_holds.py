"""What Kafka can never take is set aside with its error; its key waits behind it, and everything else flows."""

import json
import time

import pytest

from onceward_relay.holds import MOST_KEYS
from onceward_relay.topics import Topics
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import Relay, by_key, connect, publish, publish_many, relaying, rows, values

LIMIT = {"max_message_bytes": "2000"}
BIG = b"x" * 3000


def held(database: Database) -> list[tuple[str, str | None, bool]]:
    """Return state, error and whether there is a hold, of what is set aside, in order."""
    return rows(database, "SELECT state, error, hold_id IS NOT NULL FROM onceward.held_message ORDER BY id")


def incidents(database: Database) -> list[tuple[str, str, int]]:
    return rows(
        database,
        "SELECT message_id::text, title, times FROM onceward.incident WHERE kind = 'parked_out' AND closed_at IS NULL ORDER BY opened_at",
    )


def test_a_message_over_the_limit_holds_its_key_and_no_other(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "a", "a1")
        poison = publish(app, topic, "a", BIG)
        publish(app, topic, "a", "a2")
        publish(app, topic, "b", "b1")
        relay.wait_settled(4)
        publish(app, topic, "a", "a3")
        publish(app, topic, "b", "b2")
        relay.wait_settled(6)
    assert by_key(kafka.records(topic)) == {b"a": ["a1"], b"b": ["b1", "b2"]}
    error = f"with 3230 bytes it is larger than max.message.bytes of {topic}, 2000"
    assert held(database) == [("poison", error, True), ("behind", None, True), ("behind", None, True)]
    assert rows(database, "SELECT scope, topic, key, state, reason, actor FROM onceward.hold") == [
        ("key", topic, b"a", "held", error, "test")
    ]
    [(subject, title, times)] = incidents(database)
    assert (subject, times) == (poison, 1)
    assert title == f"Message {poison} to {topic} cannot be sent: {error}"


def test_a_held_message_is_copied_whole(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", BIG, '{"h": "v"}', "Big")
        publish(app, topic, "k", None)
        relay.wait_settled(2)
    columns = "id, message_id, topic, key, type, payload, headers, created_at"
    copies = rows(database, f"SELECT {columns} FROM onceward.held_message ORDER BY id")
    assert len(copies) == 2
    assert copies == rows(database, f"SELECT {columns} FROM onceward.outbox ORDER BY id")


def test_holds_outlive_the_relay(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app:
        with relaying(database, kafka) as relay:
            publish(app, topic, "a", BIG)
            relay.wait_settled(1)
        publish(app, topic, "a", "a2")
        publish(app, topic, "b", "b1")
        with relaying(database, kafka) as relay:
            relay.wait_settled(2)
            assert relay.count("holds", scope="key") == 1
    assert by_key(kafka.records(topic)) == {b"b": ["b1"]}


def test_a_poison_without_a_key_holds_nobody(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, None, "1")
        publish(app, topic, None, BIG)
        publish(app, topic, None, "2")
        relay.wait_settled(3)
    assert values(kafka.records(topic)) == ["1", "2"]
    assert [(state, hold) for state, _, hold in held(database)] == [("poison", False)]
    assert rows(database, "SELECT count(*) FROM onceward.hold") == [(0,)]
    assert len(incidents(database)) == 1


def test_a_missing_topic_is_held_and_the_others_flow(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        first = publish(app, "missing-topic", "k", "1")
        publish(app, "missing-topic", None, "2")
        publish(app, topic, "k", "3")
        relay.wait_settled(3)
        assert relay.count("holds", scope="topic") == 1
    assert values(kafka.records(topic)) == ["3"]
    assert held(database) == [("behind", None, True), ("behind", None, True)]
    assert rows(database, "SELECT scope, key, reason FROM onceward.hold") == [("topic", None, "does not exist")]
    assert incidents(database) == [(first, "Topic missing-topic is held: it does not exist", 1)]


def test_a_compacted_topic_refuses_a_message_without_a_key(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, cleanup_policy="compact")
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", "1")
        publish(app, topic, None, "2")
        publish(app, topic, "k", "3")
        relay.wait_settled(3)
    assert values(kafka.records(topic)) == ["1", "3"]
    assert held(database) == [("poison", f"it has no key, and {topic} is compacted", False)]


def test_a_message_older_than_the_topic_takes(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, message_timestamp_before_max_ms="3600000")
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        owner.execute(
            "INSERT INTO onceward.outbox (message_id, topic, key, type, payload, created_at)"
            " VALUES (gen_random_uuid(), %s, 'old', 'T', 'x', now() - interval '2 hours')",
            (topic,),
        )
        publish(owner, topic, "k", "1")
        relay.wait_settled(2)
    assert values(kafka.records(topic)) == ["1"]
    assert held(database) == [("poison", f"it is older than message.timestamp.before.max.ms of {topic}, 3600000", True)]


def test_many_small_messages_over_the_limit_together_are_all_sent(database: Database, kafka: TestKafka) -> None:
    """In one batch all of them would be refused."""
    topic = kafka.create_topic(partitions=1, max_message_bytes="1500")
    with connect(database.url) as owner:
        publish_many(owner, topic, 1000, keys=7)
    with relaying(database, kafka) as relay:
        relay.wait_settled(1000)
        assert relay.count("errors_total", kind="kafka_refused") == 0
    assert held(database) == []
    found = by_key(kafka.records(topic))
    assert sum(map(len, found.values())) == 1000
    assert all(numbers == sorted(numbers, key=int) for numbers in found.values())


def test_a_smaller_topic_met_later_makes_the_batches_smaller(database: Database, kafka: TestKafka) -> None:
    """Messages of the large topic are under way when the small one is met."""
    large, small = kafka.create_topic(), kafka.create_topic(partitions=1, max_message_bytes="1500")
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        for turn in range(10):
            publish_many(owner, large, 300, first=300 * turn)
            if turn >= 5:
                publish_many(owner, small, 100, first=100 * turn)
        relay.wait_settled(3500)
        assert relay.count("errors_total", kind="kafka_refused") == 0
    for topic, count in ((large, 3000), (small, 500)):
        found = by_key(kafka.records(topic))
        assert sum(map(len, found.values())) == count
        assert all(numbers == sorted(numbers, key=int) for numbers in found.values())


def test_a_refusal_by_the_broker_finds_the_guilty_and_spares_the_innocent(database: Database, kafka: TestKafka) -> None:
    """The limit falls while the relay believes the old one: whole batches are refused, and only what is too large alone is set aside."""
    topic = kafka.create_topic(partitions=2)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "warm", "up")
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes=str(2000))
        eventually(lambda: topic_limit(kafka, topic) == 2000)
        with owner.transaction():
            publish_many(owner, topic, 200, keys=20)
            publish(owner, topic, "k3", BIG)
            publish_many(owner, topic, 200, keys=20, first=200)
        relay.wait_settled(402)
        assert relay.count("errors_total", kind="kafka_refused") >= 1
    found = by_key(kafka.records(topic))
    expected = {f"k{k}".encode(): [str(n) for n in range(400) if n % 20 == k] for k in range(20)}
    expected[b"k3"] = [str(n) for n in range(200) if n % 20 == 3]
    found.pop(b"warm")
    assert {key: first_occurrences(numbers) for key, numbers in found.items()} == expected
    assert [state for state, _, _ in held(database)] == ["poison"] + ["behind"] * 10


def topic_limit(kafka: TestKafka, topic: str) -> int:
    from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined] # not in its __all__

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    [done] = admin.describe_configs([ConfigResource("topic", topic)]).values()
    return int(done.result(10)["max.message.bytes"].value)


def first_occurrences(numbers: list[str]) -> list[str]:
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_messages_are_judged_by_the_broker(database: Database, kafka: TestKafka, codec: str) -> None:
    """What compresses below the limit is sent; what does not is refused by the broker, alone, and set aside."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.url) as owner, relaying(database, kafka, {"compression.type": codec}) as relay:
        publish(owner, topic, "a", BIG)
        owner.execute(
            "INSERT INTO onceward.outbox (message_id, topic, key, type, payload)"
            " SELECT gen_random_uuid(), %s, 'b', 'T', string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 100) n",
            (topic,),
        )
        publish(owner, topic, "b", "b2")
        publish(owner, topic, "c", "c1")
        relay.wait_settled(4)
    assert {key: len(found) for key, found in by_key_sizes(kafka, topic).items()} == {b"a": 1, b"c": 1}
    assert held(database) == [
        ("poison", f"Kafka finds it larger than max.message.bytes of {topic}, 2000", True),
        ("behind", None, True),
    ]


def by_key_sizes(kafka: TestKafka, topic: str) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for record in kafka.records(topic):
        found.setdefault(bytes(record.key() or b""), []).append(len(record.value() or b""))
    return found


def test_a_limit_that_was_raised_is_noticed_before_the_verdict(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes=str(100_000))
        eventually(lambda: topic_limit(kafka, topic) == 100_000)
        publish(owner, topic, "k", BIG)
        relay.wait_settled(2)
    assert held(database) == []
    assert len(kafka.records(topic)) == 2


def test_a_limit_that_was_raised_lets_nobody_past_a_hold(database: Database, kafka: TestKafka) -> None:
    """It is noticed in the middle of a page: what comes behind a held key in the same page still lines up."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "k", BIG)
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes=str(100_000))
        eventually(lambda: topic_limit(kafka, topic) == 100_000)
        with owner.transaction():
            publish(owner, topic, "free", BIG)
            publish(owner, topic, "k", "2")
        relay.wait_settled(3)
    assert values(kafka.records(topic)) == [BIG.decode()]
    assert [state for state, _, _ in held(database)] == ["poison", "behind"]


def test_a_limit_that_was_lowered_is_noticed_within_its_time(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the broker has to refuse nothing, and no batch goes twice."""
    monkeypatch.setattr(Topics, "FRESH", 0)
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes="2000")
        eventually(lambda: topic_limit(kafka, topic) == 2000)
        publish(owner, topic, "big", BIG)
        publish(owner, topic, "k", "2")
        relay.wait_settled(3)
        assert relay.count("errors_total", kind="kafka_refused") == 0
    assert values(kafka.records(topic)) == ["1", "2"]
    assert [error for _, error, _ in held(database)] == [
        f"with 3232 bytes it is larger than max.message.bytes of {topic}, 2000"
    ]


def test_the_largest_payload_that_an_outbox_holds(database: Database, kafka: TestKafka) -> None:
    """16 MiB, to a topic that takes it, beside one that does not."""
    payload = bytes(range(256)) * 65536
    large, usual = kafka.create_topic(partitions=1, max_message_bytes="17000000"), kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        for topic in (large, usual):
            publish(app, topic, "k", payload)
            publish(app, topic, "other", None)
        relay.wait_settled(4)
    assert [record.value() for record in kafka.records(large)] == [payload, None]
    assert [record.value() for record in kafka.records(usual)] == [None]
    [(_, error, _)] = held(database)
    assert error is not None
    assert error.endswith(f"it is larger than max.message.bytes of {usual}, 1048588")


def test_with_too_many_held_keys_the_topic_is_held(database: Database, kafka: TestKafka) -> None:
    topic, other = kafka.create_topic(partitions=1, **LIMIT), kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish_many(owner, topic, MOST_KEYS + 5, keys=10_000, size=3000)
        publish(owner, topic, "innocent", "1")
        publish(owner, other, "k", "2")
        relay.wait_settled(MOST_KEYS + 7)
        assert (relay.count("holds", scope="key"), relay.count("holds", scope="topic")) == (MOST_KEYS, 1)
    assert values(kafka.records(other)) == ["2"]
    assert kafka.records(topic) == []
    assert rows(database, "SELECT state, count(*) FROM onceward.held_message GROUP BY state ORDER BY state") == [
        ("behind", 5),
        ("poison", MOST_KEYS + 1),
    ]
    assert len(incidents(database)) == MOST_KEYS + 1


def test_a_keys_own_hold_comes_before_its_topics(database: Database, kafka: TestKafka) -> None:
    """So that releasing the topic later cannot overtake what the key still holds."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "first", BIG)
        publish_many(owner, topic, MOST_KEYS, keys=10_000, size=3000)
        publish(owner, topic, "first", "behind its key")
        publish(owner, topic, "other", "behind the topic")
        relay.wait_settled(MOST_KEYS + 3)
    found = rows(
        database,
        "SELECT convert_from(m.payload, 'UTF8'), h.scope FROM onceward.held_message m JOIN onceward.hold h USING (hold_id)"
        " WHERE m.state = 'behind' ORDER BY m.id",
    )
    assert found == [("behind its key", "key"), ("behind the topic", "topic")]


def test_a_topic_removed_while_relaying_is_held(database: Database, kafka: TestKafka) -> None:
    from confluent_kafka.admin import AdminClient

    gone, stays = kafka.create_topic(partitions=1), kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, gone, "k", "1")
        relay.wait_settled(1)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        [done] = admin.delete_topics([gone]).values()
        done.result(30)
        publish(owner, gone, "k", "2")
        publish(owner, stays, "k", "3")
        relay.wait_settled(3, timeout=60)
    assert values(kafka.records(stays)) == ["3"]
    assert held(database) == [("behind", None, True)]


def test_nothing_is_told_of_payloads_and_keys(
    database: Database, kafka: TestKafka, capfd: pytest.CaptureFixture[str]
) -> None:
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        message_id = publish(app, topic, "key-of-nobodys-business", b"payload-of-nobodys-business" * 200)
        publish(app, topic, "key-of-nobodys-business", json.dumps({"n": "payload-of-nobodys-business"}))
        relay.wait_settled(2)
    said = "".join(capfd.readouterr())
    assert message_id in said
    assert "nobodys-business" not in said


def test_a_page_in_the_middle_of_many_pages_is_refused(database: Database, kafka: TestKafka) -> None:
    """Pages under way behind the refused one go again as well, in order."""
    topic = kafka.create_topic(partitions=3)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "warm", "up")
        relay.wait_settled(1)
        kafka.configure(topic, max_message_bytes=str(5000))
        eventually(lambda: topic_limit(kafka, topic) == 5000)
        began = time.monotonic()
        with owner.transaction():
            publish_many(owner, topic, 7000, keys=100)
            publish(owner, topic, "k50", b"x" * 6000)
            publish_many(owner, topic, 7000, keys=100, first=7000)
        relay.wait_settled(14_002, timeout=60)
        assert time.monotonic() - began < 60
    found = by_key(kafka.records(topic))
    found.pop(b"warm")
    expected = {f"k{k}".encode(): [str(n) for n in range(14_000) if n % 100 == k] for k in range(100)}
    expected[b"k50"] = [str(n) for n in range(7000) if n % 100 == 50]
    assert {key: first_occurrences(numbers) for key, numbers in found.items()} == expected


def test_relay_is_idle_after_a_verdict(database: Database, kafka: TestKafka) -> None:
    """A held key costs nothing more: no checkpoint, no retry."""
    topic = kafka.create_topic(partitions=1, **LIMIT)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "a", BIG)
        relay.wait_settled(1)
        assert quiet(relay)


def quiet(relay: Relay) -> bool:
    written, beats = relay.count("checkpoints_total"), relay.state.beat_at
    eventually(lambda: relay.state.beat_at > beats + 1)
    return relay.count("checkpoints_total") == written and relay.state.state == "owner"
