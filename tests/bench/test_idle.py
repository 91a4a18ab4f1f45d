"""`onceward bench idle` watches a relay with one source and with several, each a database of its own."""

import pytest

from onceward_relay.bench import BenchError
from onceward_relay.bench.idle import databases
from onceward_relay.bench.stage import Servers, connect
from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


@pytest.mark.long
def test_each_number_of_sources_is_watched(
    empty_database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.bench.idle.SETTLED", 0.5)
    report = bench("idle", *on(empty_database, kafka), "--sources", 1, "--sources", 3, "--seconds", 1)
    assert list(report["cases"]) == ["no relay", "1 source", "3 sources"]
    for case in ("1 source", "3 sources"):
        assert report["cases"][case]["memory"] > 10
        assert 0 <= report["cases"][case]["session_wal"] <= report["cases"][case]["wal"] + 10_000
        assert 0 <= report["cases"][case]["relay_cpu"] < 200
        assert report["cases"][case]["database_cpu"] is None or report["cases"][case]["database_cpu"] < 200
    assert_nothing_left(empty_database, kafka)


def test_a_server_without_room_is_told(empty_database: Database) -> None:
    servers = Servers(empty_database.url, "127.0.0.1:1")
    with (
        connect(empty_database.url) as eye,
        pytest.raises(BenchError, match=r"--sources 5000: .* raise its max_connections"),
        databases(servers, eye, 5000, print),
    ):
        pass
