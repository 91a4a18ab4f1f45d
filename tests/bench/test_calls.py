"""`onceward bench calls` makes real calls and runs real flows, and needs no Kafka."""

import psycopg

from tests.bench.support import bench
from tests.conftest import Database


def test_calls_and_flows_are_measured_beside_their_rows(empty_database: Database) -> None:
    report = bench(
        "calls", "--database", empty_database.url, "--calls", 40, "--threads", 1, "--threads", 4, "--runs", 1
    )
    assert list(report["cases"]) == ["1 thread", "4 threads"]
    assert all(value > 0 for case in report["cases"].values() for value in case.values())
    assert "--kafka" not in report["command"]
    with psycopg.connect(empty_database.url) as connection:
        for table in ("call", "attempt", "flow"):
            assert connection.execute(f"SELECT count(*) FROM onceward.{table}").fetchone() == (0,), table
