"""`onceward bench memory` watches the relay's memory while it drains."""

import pytest

from onceward_relay.bench.memory import growth
from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


def test_memory_is_watched(empty_database: Database, kafka: TestKafka) -> None:
    report = bench("memory", *on(empty_database, kafka), "--messages", 3000)
    (case,) = report["cases"].values()
    assert 10 < case["before"] <= case["peak"]
    assert case["rate"] > 0
    assert_nothing_left(empty_database, kafka)


def test_growth_is_that_of_the_second_half() -> None:
    warming = [(second, 100.0 + 50 * second) for second in range(10)]
    leaking = [(second, 600.0 + 2 * second) for second in range(10, 20)]
    assert growth([*warming, *leaking], seconds_per_million=10) == pytest.approx(20)
    assert growth([(0, 1.0), (1, 1.0)], 10) is None
