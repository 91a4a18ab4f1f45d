"""`onceward bench inbox` takes messages through the real inbox, handed over and from Kafka."""

from onceward_relay.bench.inbox import made_records, taken_before
from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_each_handler_and_share_is_measured(empty_database: Database, kafka: TestKafka) -> None:
    arguments = ("--messages", 300, "--duplicates", 0, "--duplicates", 100, "--runs", 1)
    report = bench("inbox", *on(empty_database, kafka), *arguments)
    assert list(report["cases"]) == [
        "deduplication only, 0 % duplicates",
        "deduplication only, 100 % duplicates",
        "deduplication only, from Kafka",
        "one INSERT, 0 % duplicates",
        "one INSERT, 100 % duplicates",
        "one INSERT, from Kafka",
    ]
    assert all(case["rate"] > 0 for case in report["cases"].values())
    assert_nothing_left(empty_database, kafka)


def test_the_share_of_duplicates_is_what_was_asked_for() -> None:
    records = made_records(1000, 10)
    assert [len(taken_before(records, share)) for share in (0, 1, 50, 100)] == [0, 10, 500, 1000]
