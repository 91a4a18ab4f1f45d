"""`onceward bench long-writer` measures the others beside each kind of long transaction, and waits for its messages."""

import pytest

from tests.bench.support import assert_nothing_left, bench, on
from tests.conftest import Database
from tests.servers.kafka import TestKafka


@pytest.mark.long
def test_each_kind_is_measured(empty_database: Database, kafka: TestKafka) -> None:
    report = bench("long-writer", *on(empty_database, kafka), "--rate", 200, "--seconds", 1, "--runs", 1)
    cases = report["cases"]
    assert list(cases) == ["alone", "long write", "long write of messages", "prepared transaction"]
    assert all(case["messages"] == 200 for case in cases.values())
    assert "own" not in cases["long write"]
    assert cases["long write of messages"]["own"] > 10
    assert cases["prepared transaction"]["own"] == 1
    assert_nothing_left(empty_database, kafka)
