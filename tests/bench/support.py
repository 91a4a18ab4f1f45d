"""Runs a scenario of `onceward bench` as a user would, and looks at what it leaves behind."""

import json
from typing import Any

import psycopg
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually


def bench(scenario: str, *arguments: object) -> dict[str, Any]:
    """Run a scenario with --json and return its document."""
    done = CliRunner().invoke(main, ["bench", scenario, *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["scenario"] == scenario
    assert document["machine"]["cores"] > 0
    assert document["machine"]["postgresql"]
    for case in document["cases"].values():
        assert set(case) <= set(document["figures"]), "a figure without a heading"
    return document


def on(database: Database, kafka: TestKafka) -> tuple[str, str, str, str]:
    """Return the options that name the servers."""
    return "--database", database.url, "--kafka", kafka.bootstrap


def assert_nothing_left(database: Database, kafka: TestKafka) -> None:
    """Check that the outbox is empty, and that no topic and no table of a benchmark is left."""
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)
        assert connection.execute("SELECT to_regnamespace('onceward_bench')").fetchone() == (None,)
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'onceward_bench_%'").fetchall()
        assert left == []
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    eventually(
        lambda: not [name for name in admin.list_topics(timeout=10).topics if name.startswith("onceward-bench-")]
    )
