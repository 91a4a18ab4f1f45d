"""What the relay counts besides its work never stands in its way."""

from tests.conftest import Database
from tests.servers.kafka import TestKafka

from .support import connect, publish, relaying, rows, values


def test_a_locked_table_that_is_counted_stops_no_message(database: Database, kafka: TestKafka) -> None:
    """As while an administrator rewrites the ledger: messages have nothing to do with it."""
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, connect(database.url) as administrator:
        administrator.execute("BEGIN")
        administrator.execute("LOCK TABLE onceward.call, onceward.incident, onceward.inbox_parked")
        with relaying(database, kafka) as relay:
            publish(owner, topic, "k", "1")
            relay.wait_settled(1)
            publish(owner, topic, "k", "2")
            relay.wait_settled(2)
            assert relay.state.state == "owner"
    assert values(kafka.records(topic)) == ["1", "2"]
    assert rows(database, "SELECT max(epoch) FROM onceward.ownership") == [(1,)]
