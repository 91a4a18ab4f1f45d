"""`onceward bench drain` measures all sides and leaves nothing behind. It asserts no speed: machines are noisy."""

import psycopg

from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_all_sides_are_measured(empty_database: Database, kafka: TestKafka) -> None:
    servers = on(empty_database, kafka)
    options = ("--messages", 2000, "--size", 100, "--runs", 1, "--no-warm-up", "--delivery", "exactly_once")
    report = bench("drain", *servers, *options)
    assert report["settings"]["messages"] == 2000
    assert report["command"].endswith("--messages 2000 --size 100 --runs 1 --delivery exactly_once")
    assert list(report["cases"]) == ["100 bytes"]
    for case in report["cases"].values():
        assert set(case) == set(report["figures"])
        # A run this short may take less CPU time than one tick of the clock that counts it.
        assert all(value is None or value > 0 or name.endswith("_cpu") for name, value in case.items()), case
        assert case["relay_peak"] > 10
        assert {"once", "once_to_relay"} <= set(case)
    assert_nothing_left(empty_database, kafka)
    with psycopg.connect(empty_database.url) as connection:  # the next relay has another name, and knows none of them
        assert connection.execute("SELECT FROM onceward.checkpoint WHERE page IS NOT NULL").fetchone() is None
