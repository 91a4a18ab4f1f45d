"""`onceward doctor` finds each trouble, provoked for real, and says what to do; where all is well it has no problem."""

import json
from typing import Any

from click.testing import CliRunner, Result

from onceward_relay.cli import main
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.relay.support import connect, publish
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer


def examined(database: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--database", database, *options])


def findings(result: Result, check: str) -> list[tuple[str, str, str]]:
    found: list[dict[str, Any]] = json.loads(result.output)["findings"]
    return [(each["level"], each["found"], each["remedy"]) for each in found if each["check"] == check]


def only(result: Result, check: str) -> tuple[str, str, str]:
    (found,) = findings(result, check)
    return found


def looked(database: str, check: str, *options: str) -> tuple[str, str, str]:
    return only(examined(database, "--json", *options), check)


def problems(result: Result) -> list[Any]:
    return [each for each in json.loads(result.output)["findings"] if each["level"] == "problem"]


def test_a_healthy_pair_has_no_problem(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    server = TestServer(own_postgres)
    url = server.create_database(installed=True)
    with connect(url) as owner:
        owner.execute("GRANT pg_read_all_stats TO relay")
        publish(owner, kafka.create_topic(), "k", "x")
        result = examined(server.login(url, "relay"), "--kafka", kafka.bootstrap, "--json")
    assert problems(result) == []
    assert result.exit_code == 0
    checks = {each["check"] for each in json.loads(result.output)["findings"] if each["level"] == "ok"}
    assert {
        "version", "direct", "primary", "encoding", "schema", "role", "vacuum", "durability", "isolation", "autovacuum",
        "wal_level", "open transactions", "prepared transactions", "replication slots", "connections", "clock",
        "transaction ids", "disk", "reachable", "auto-created topics",
    } <= checks  # fmt: skip
