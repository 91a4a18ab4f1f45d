"""What a benchmark says when it cannot run: one line that names the option."""

import psycopg
import pytest
from click.testing import CliRunner

from onceward_relay.bench import BenchError
from onceward_relay.bench.stage import prepare, relay_of
from onceward_relay.bench.topics import make_topic
from onceward_relay.cli import main
from onceward_relay.embedded.postgres import free_port
from tests.conftest import Database


def test_a_database_that_does_not_answer_is_named() -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/nowhere"
    done = CliRunner().invoke(main, ["bench", "drain", "--database", url, "--kafka", "127.0.0.1:1"])
    assert done.exit_code == 1
    assert "--database 127.0.0.1" in done.output
    assert "secret" not in done.output


def test_a_kafka_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.bench.topics.ANSWER", 0.5)
    with pytest.raises(BenchError, match=r"--kafka 127.0.0.1:\d+: "):
        make_topic(f"127.0.0.1:{free_port()}", "onceward-bench-none", 1)


def test_a_database_in_use_is_refused(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SELECT onceward.publish('orders', '\\x01', 'order.placed', '')")
    with pytest.raises(BenchError, match="holds what no benchmark wrote"):
        prepare(database.url)


def test_a_relay_that_fails_is_told_with_its_log() -> None:
    with (
        pytest.raises(BenchError, match=r"(?s)the relay failed:.*source cannot be relayed"),
        relay_of("127.0.0.1:1", f"postgresql://nobody@127.0.0.1:{free_port()}/nowhere"),
    ):
        pass
