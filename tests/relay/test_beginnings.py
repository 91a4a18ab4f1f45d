"""A new producer and a refusal at once: a broker that does not know the producer yet accepts what comes behind a gap."""

import pytest

from onceward_relay.topics import Topic
from tests.conftest import Database
from tests.servers.kafka import TestKafka

from .support import connect, publish, relaying, rows, values


def test_nothing_lands_behind_a_row_that_is_refused_first(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit cannot be asked for, so only the refusal tells it."""
    monkeypatch.setattr("onceward_relay.topics._limits_of", lambda *_: Topic())
    topic = kafka.create_topic(partitions=1, max_message_bytes="2000")
    with connect(database.url) as owner:
        with owner.transaction():
            publish(owner, topic, "k", b"x" * 3000)
            for number in range(500):
                publish(owner, topic, "k", str(number))
        with relaying(database, kafka, {"batch.size": 2000}) as relay:
            relay.wait_settled(501, timeout=60)
    states = rows(database, "SELECT state, count(*) FROM onceward.held_message GROUP BY 1 ORDER BY 1 DESC")
    assert values(kafka.records(topic)) == []
    assert states == [("poison", 1), ("behind", 500)]
