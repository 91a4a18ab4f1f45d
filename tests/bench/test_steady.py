"""`onceward bench steady` measures ages and leaves nothing behind. It asserts no speed: machines are noisy."""

from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_each_rate_is_measured(empty_database: Database, kafka: TestKafka) -> None:
    report = bench("steady", *on(empty_database, kafka), "--rate", 0, "--rate", 200, "--seconds", 2)
    idle, steady = report["cases"].values()
    assert (idle["messages"], steady["messages"]) == (2, 400)
    assert steady["rate"] > 0
    for sample in (idle, steady):
        assert 0 < sample["commit_p50"] <= sample["commit_p99"]
        assert 0 < sample["p50"] <= sample["p99"] <= sample["max"]
        assert sample["p50"] >= sample["commit_p50"] / 2
    assert_nothing_left(empty_database, kafka)
