"""`onceward bench held` measures the same rate before, while and after a snapshot is held."""

import psycopg
import pytest

from onceward_relay.bench.held import snapshot_held
from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka

HOLDERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND state = 'idle in transaction'"


@pytest.mark.long
def test_each_phase_is_measured(empty_database: Database, kafka: TestKafka) -> None:
    report = bench("held", *on(empty_database, kafka), "--rate", 200, "--seconds", 1, "--held", 2)
    assert list(report["cases"]) == ["before", "held", "after"]
    assert [case["messages"] for case in report["cases"].values()] == [200, 400, 200]
    for case in report["cases"].values():
        assert case["dead_outbox"] == 0
    assert report["cases"]["held"]["p99_to_before"] > 0
    assert_nothing_left(empty_database, kafka)


def test_a_snapshot_is_really_held(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url, autocommit=True) as eye:
        with snapshot_held(empty_database.url):
            assert eye.execute(HOLDERS).fetchone() == (1,)
        assert eye.execute(HOLDERS).fetchone() == (0,)
