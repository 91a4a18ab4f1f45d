"""`onceward bench steady` measures ages and leaves nothing behind. It asserts no speed: machines are noisy."""

import json

import psycopg
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_each_rate_is_measured(empty_database: Database, kafka: TestKafka) -> None:
    servers = ["--database", empty_database.url, "--kafka", kafka.bootstrap]
    done = CliRunner().invoke(
        main, ["bench", "steady", *servers, "--rate", "0", "--rate", "200", "--seconds", "2", "--json"]
    )
    assert done.exit_code == 0, done.output
    idle, steady = json.loads(done.stdout)
    assert (idle["rate"], idle["messages"]) == (0, 2)
    assert (steady["rate"], steady["messages"]) == (200, 400)
    for sample in (idle, steady):
        assert 0 < sample["commit_p50"] <= sample["commit_p99"]
        assert 0 < sample["p50"] <= sample["p99"] <= sample["max"]
        assert sample["p50"] >= sample["commit_p50"] / 2
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith("onceward-bench-")]
