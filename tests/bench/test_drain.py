"""`onceward bench drain` measures both sides and leaves nothing behind. It asserts no speed: machines are noisy."""

import json

import psycopg
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_both_sides_are_measured(empty_database: Database, kafka: TestKafka) -> None:
    arguments = [
        "--database",
        empty_database.url,
        "--kafka",
        kafka.bootstrap,
        "--messages",
        "2000",
        "--runs",
        "1",
        "--json",
    ]
    done = CliRunner().invoke(main, ["bench", "drain", *arguments])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["messages"] == 2000
    assert report["ratio"] > 0
    for side in ("raw", "relay"):
        assert all(value is None or value > 0 for value in report[side].values()), report
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith("onceward-bench-")]
