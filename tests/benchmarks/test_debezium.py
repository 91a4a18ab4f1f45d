"""Debezium and the relay drain the same rows. It asserts no speed: machines are noisy."""

import psycopg
import pytest

from onceward_relay.bench.stage import Servers
from tests.benchmarks.connect import POM
from tests.benchmarks.debezium import Plan, measure
from tests.conftest import Database, without
from tests.servers import maven
from tests.servers.kafka import TestKafka


@pytest.fixture
def jars() -> None:
    """Debezium's, where they can be had: it is no part of the product."""
    try:
        maven.artifacts("debezium", POM)
    except maven.Unavailable as error:
        without(str(error))


@pytest.mark.long
@pytest.mark.timeout(600)  # Java starts slowly where others work too
@pytest.mark.usefixtures("jars")
def test_both_drain_the_same_rows(empty_database: Database, kafka: TestKafka) -> None:
    result = measure(Plan(Servers(empty_database.url, kafka.bootstrap), 1000, 300, 1), print)
    ((_, case),) = result.cases.items()
    for name in ("relay", "debezium", "relay_to_debezium", "debezium_peak"):
        assert isinstance(case[name], int | float), case
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
        ).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_publication").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)
