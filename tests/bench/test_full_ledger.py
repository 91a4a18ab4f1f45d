"""`onceward bench full-ledger` fills a ledger, asks what everybody asks, and leaves nothing behind."""

import psycopg

from onceward_relay.bench.full_ledger import TABLES
from tests.bench.support import bench
from tests.conftest import Database


def test_every_question_is_asked_of_a_full_ledger(empty_database: Database) -> None:
    report = bench("full-ledger", "--database", empty_database.url, "--calls", 1000, "--incidents", 100, "--runs", 2)
    assert list(report["cases"]) == ["median, ms", "95 of 100 within, ms", "blocks of 8 KB"]
    for case in report["cases"].values():
        assert case.keys() == report["figures"].keys()
        assert all(value > 0 for value in case.values())
    with psycopg.connect(empty_database.url) as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM onceward.{table}").fetchone() == (0,), table
