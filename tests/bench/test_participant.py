"""`onceward bench participant` measures both sides the relay running beside one of them."""

from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_both_sides_are_measured(empty_database: Database, kafka: TestKafka) -> None:
    arguments = ("--clients", 4, "--seconds", 0.5, "--runs", 1)
    report = bench("participant", *on(empty_database, kafka), *arguments)
    assert list(report["cases"]) == ["4 clients"]
    for case in report["cases"].values():
        assert case["outbox"] > 0
        assert case["bare"] > 0
        assert case["alone"] > 0
        assert case["lag"] > 0
    assert_nothing_left(empty_database, kafka)
