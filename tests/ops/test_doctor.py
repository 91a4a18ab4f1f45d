"""`onceward doctor` finds each trouble, provoked for real, and says what to do; where all is well it has no problem."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.relay.support import connect, publish, relaying
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.servers.proxy import pooled, proxy


def examined(database: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--database", database, *options])


def findings(result: Result, check: str) -> list[tuple[str, str, str]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return [(each["level"], each["found"], each["remedy"]) for each in found if each["check"] == check]


def only(result: Result, check: str) -> tuple[str, str, str]:
    (found,) = findings(result, check)
    return found


def looked(database: str, check: str, *options: str) -> tuple[str, str, str]:
    return only(examined(database, "--json", *options), check)


def problems(result: Result) -> list[Any]:
    return [each for each in json.loads(result.stdout)["findings"] if each["level"] == "problem"]


def test_a_healthy_pair_has_no_problem(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    server = TestServer(own_postgres)
    url = server.create_database(installed=True)
    with connect(url) as owner:
        owner.execute("GRANT pg_read_all_stats TO relay")
        publish(owner, kafka.create_topic(), "k", "x")
        result = examined(server.login(url, "relay"), "--kafka", kafka.bootstrap, "--json")
    assert problems(result) == []
    assert result.exit_code == 0
    checks = {each["check"] for each in json.loads(result.stdout)["findings"] if each["level"] == "ok"}
    assert {
        "version", "direct", "primary", "encoding", "schema", "role", "vacuum", "durability", "isolation", "autovacuum",
        "wal_level", "open transactions", "prepared transactions", "replication slots", "connections", "clock",
        "transaction ids", "disk", "reachable", "auto-created topics",
    } <= checks  # fmt: skip


@pytest.fixture
def superuser(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with connect(database.url) as connection:
        yield connection


@contextmanager
def server_setting(database: Database, name: str, value: str) -> Iterator[None]:
    """Set a setting for new sessions of this test's database only."""
    with connect(database.url) as owner:
        owner.execute(f"ALTER DATABASE {database.name} SET {name} = {value}")
    yield


def test_a_server_that_is_not_there() -> None:
    result = examined("postgresql://relay:secret@127.0.0.1:1/x", "--json")
    assert result.exit_code == 1
    assert "refused" in only(result, "reachable")[1]
    assert "secret" not in result.output


def test_a_pooler(database: Database) -> None:
    parts = urlsplit(database.relay_url)
    with proxy(str(parts.hostname), parts.port or 5432, pooled) as pooler:
        url = parts._replace(netloc=f"relay:relay@127.0.0.1:{pooler.port}").geturl()
        level, found, remedy = looked(url, "direct")
    assert (level, "pooler" in found) == ("problem", True)
    assert "PostgreSQL itself" in remedy


def test_a_standby(own_postgres: EmbeddedPostgres) -> None:
    url = TestServer(own_postgres).create_database(installed=True)
    own_postgres.stop()
    (own_postgres._data / "standby.signal").touch()
    own_postgres.start()
    assert looked(url, "primary")[0] == "problem"


def test_an_encoding_without_meaning(database: Database, superuser: psycopg.Connection[Any]) -> None:
    name = f"{database.name}_ascii"
    superuser.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        assert looked(database.url.replace(database.name, name), "encoding")[0] == "problem"
    finally:
        superuser.execute(f"DROP DATABASE {name}")


def test_a_missing_schema(empty_database: Database) -> None:
    result = examined(empty_database.url, "--json")
    assert only(result, "schema") == ("problem", "the schema onceward is not installed", "onceward schema install")
    assert findings(result, "connections"), "the server is examined all the same"


def test_a_changed_schema(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("DROP INDEX onceward.outbox_xid")
    found = findings(examined(database.url, "--json"), "schema")
    assert all(
        level == "problem" and "restore it as `onceward schema sql` prints it" in remedy for level, _, remedy in found
    )
    assert any("outbox_xid" in text for _, text, _ in found)


def test_an_old_revision(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("UPDATE onceward.schema_version SET version_num = '0001'")
    level, found, remedy = looked(database.url, "schema")
    assert (level, remedy) == ("problem", "onceward schema upgrade")
    assert "0001" in found


def test_a_role_without_membership(database: Database, superuser: psycopg.Connection[Any]) -> None:
    name = f"nobody_{database.name}"
    superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    try:
        level, found, remedy = looked(database.relay_url.replace("relay:relay@", f"{name}:x@"), "role")
    finally:
        superuser.execute(f"DROP ROLE {name}")
    assert level == "problem"
    assert "neither" in found
    assert f'GRANT onceward_participant TO "{name}"' in remedy


def test_a_missing_grant(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("REVOKE INSERT ON onceward.checkpoint FROM onceward_relay")
    superuser.execute("REVOKE UPDATE ON onceward.call FROM onceward_participant")
    level, found, remedy = looked(database.relay_url, "rights")
    assert (level, found) == ("problem", "relay lacks INSERT on checkpoint")
    assert "onceward schema sql" in remedy
    assert looked(database.participant_url, "rights")[1] == "app lacks UPDATE on call"


def test_a_superuser_proves_nothing(database: Database) -> None:
    assert looked(database.url, "role")[0] == "warning"


@pytest.mark.parametrize(
    ("setting", "value", "check", "level"),
    [
        ("synchronous_commit", "off", "durability", "warning"),
        ("default_transaction_isolation", "serializable", "isolation", "warning"),
        ("idle_in_transaction_session_timeout", "0", "idle transactions", "warning"),
        ("idle_in_transaction_session_timeout", "'1min'", "idle transactions", "ok"),
    ],
)
def test_a_setting(database: Database, setting: str, value: str, check: str, level: str) -> None:
    with server_setting(database, setting, value):
        found = findings(examined(database.url, "--json"), check)
    assert level in [each[0] for each in found]
    assert all(remedy for each, _, remedy in found if each != "ok")


def test_a_server_without_safety(own_postgres: EmbeddedPostgres) -> None:
    url = TestServer(own_postgres).create_database(installed=True)
    with connect(url) as owner:
        for setting in ("fsync = off", "autovacuum = off"):
            owner.execute(f"ALTER SYSTEM SET {setting}")
    own_postgres.restart()
    result = examined(url, "--json")
    assert only(result, "durability")[0] == "problem"
    assert only(result, "autovacuum")[0] == "problem"
    assert "ALTER SYSTEM SET fsync = on" in only(result, "durability")[2]


def test_an_open_transaction(database: Database, superuser: psycopg.Connection[Any]) -> None:
    with connect(database.participant_url, application_name="forgotten") as app:
        app.execute("BEGIN")
        publish(app, "t", "k", "x")
        found = findings(examined(database.url, "--json", "--long", "0"), "open transactions")
        assert looked(database.url, "open transactions")[0] == "ok", "it is not old by default"
        pid = app.info.backend_pid
    mine = next(each for each in found if f"process {pid} of app forgotten" in each[1])
    assert mine[0] == "problem"
    assert "its messages wait" in mine[1]
    assert mine[2] == f"SELECT pg_terminate_backend({pid});"


def test_sessions_that_are_not_seen(database: Database) -> None:
    level, _, remedy = looked(database.participant_url, "open transactions")
    assert (level, 'GRANT pg_read_all_stats TO "app"' in remedy) == ("warning", True)


def test_an_abandoned_prepared_transaction(database: Database) -> None:
    gid = f"it's {database.name}"
    with connect(database.url) as owner:
        owner.execute("BEGIN")
        publish(owner, "t", "k", "x")
        owner.execute(f"PREPARE TRANSACTION '{gid.replace(chr(39), chr(39) * 2)}'")
        try:
            level, found, remedy = looked(database.relay_url, "prepared transactions", "--long", "0")
            owner.execute(remedy.split("; or ")[1].split(";")[0])  # what it says can be run as it stands
        finally:
            left = owner.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").fetchall()
    assert level == "problem"
    assert gid in found
    assert left == []


def test_a_replication_slot_that_nobody_reads(database: Database, superuser: psycopg.Connection[Any]) -> None:
    slot = f"slot_{database.name}"
    superuser.execute("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
    try:
        found = findings(examined(database.relay_url, "--json"), "replication slots")
    finally:
        superuser.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    mine = next(each for each in found if slot in each[1])
    assert mine[0] == "warning"
    assert f"pg_drop_replication_slot('{slot}')" in mine[2]


def test_autovacuum_off_for_a_table(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("ALTER TABLE onceward.inbox SET (autovacuum_enabled = off)")
    level, _, remedy = looked(database.relay_url, "vacuum")
    assert (level, remedy) == ("warning", 'ALTER TABLE onceward."inbox" RESET (autovacuum_enabled);')


def test_connections_that_run_out(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 3")
    with connect(database.participant_url):
        level, found, _ = looked(database.relay_url, "connections")
    assert level == "problem"
    assert "CONNECTION LIMIT" in found


def test_clocks_that_disagree(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    true = time.time
    monkeypatch.setattr("onceward_relay.doctor.server.time.time", lambda: true() - 100)
    level, found, remedy = looked(database.relay_url, "clock")
    assert (level, "ahead" in found, "NTP" in remedy) == ("problem", True, True)


def test_an_outbox_that_grows_without_an_owner(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, "k", "x")
    assert looked(database.relay_url, "relay")[0] == "warning", "it may be about to start"
    level, found, remedy = looked(database.relay_url, "relay", "--long", "0")
    assert (level, "no relay owns the outbox" in found, "onceward relay run" in remedy) == ("problem", True, True)
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
        assert looked(database.relay_url, "relay")[0] == "ok"


def test_a_halted_source(database: Database, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, '4000000000:4000000000:')")
    level, found, _ = looked(database.relay_url, "relay")
    assert (level, "halted" in found) == ("problem", True)


def with_topic(
    database: Database, kafka: TestKafka, check: str, key: str | None = "k", size: int = 10, **config: str
) -> tuple[str, str, str]:
    topic = kafka.create_topic(None, 3, **config)
    with connect(database.participant_url) as app:
        publish(app, topic, key, "x" * size)
    return looked(database.relay_url, check, "--kafka", kafka.bootstrap)


def test_a_missing_topic(database: Database, kafka: TestKafka) -> None:
    with connect(database.participant_url) as app:
        publish(app, "not-there", "k", "x")
    level, found, remedy = looked(database.relay_url, "topic", "--kafka", kafka.bootstrap)
    assert (level, "does not exist" in found) == ("problem", True)
    assert "--create --topic not-there" in remedy


def test_messages_larger_than_the_topic_takes(database: Database, kafka: TestKafka) -> None:
    level, found, remedy = with_topic(database, kafka, "message size", size=5000, max_message_bytes="1000")
    assert (level, "max.message.bytes = 1,000" in found) == ("problem", True)
    assert "--add-config max.message.bytes=" in remedy


def test_a_compacted_topic_and_messages_without_a_key(database: Database, kafka: TestKafka) -> None:
    assert with_topic(database, kafka, "compaction", key=None, cleanup_policy="compact")[0] == "problem"


def test_more_in_sync_replicas_than_there_are(database: Database, kafka: TestKafka) -> None:
    level, found, _ = with_topic(database, kafka, "replicas", min_insync_replicas="2")
    assert (level, "nothing can be written" in found) == ("problem", True)


@pytest.mark.parametrize(
    "config", [{"message_timestamp_before_max_ms": "60000"}, {"message_timestamp_after_max_ms": "1000"}]
)
def test_timestamps_that_are_refused_soon(database: Database, kafka: TestKafka, config: dict[str, str]) -> None:
    level, found, remedy = with_topic(database, kafka, "timestamps", "k", 10, **config)
    (setting,) = config
    assert (level, setting.replace("_", ".") in found, "--add-config" in remedy) == ("warning", True, True)


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({"bootstrap.servers": "127.0.0.1:1,[::1]:2,localhost:3"}, None),
        ({"bootstrap.servers": "kafka:1"}, "warning"),
        ({"bootstrap.servers": "127.0.0.1:1,kafka:1"}, "warning"),
        ({"bootstrap.servers": "kafka:1", "security.protocol": "ssl"}, None),
        ({"bootstrap.servers": "kafka:1", "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, None),
        ({"bootstrap.servers": "kafka:1", "security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"}, "problem"),
        (
            {"bootstrap.servers": "kafka:1", "security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-512"},
            "warning",
        ),
    ],
)
def test_what_can_be_read_on_its_way(options: dict[str, str], level: str | None) -> None:
    from onceward_relay.doctor.kafka import _transport

    assert [found.level for found in _transport(options)] == ([level] if level else [])


def test_unclean_leader_election(database: Database, kafka: TestKafka) -> None:
    found = with_topic(database, kafka, "leader election", unclean_leader_election_enable="true")
    assert found[0] == "problem"


@pytest.mark.parametrize("config", [{"retention_ms": "60000"}, {"retention_bytes": "1000"}])
def test_short_retention(database: Database, kafka: TestKafka, config: dict[str, str]) -> None:
    level, found, remedy = with_topic(database, kafka, "retention", "k", 10, **config)
    (setting,) = config
    assert (level, setting.replace("_", ".") in found, "--add-config" in remedy) == ("warning", True, True)


def test_kafka_that_does_not_answer(database: Database) -> None:
    result = examined(database.relay_url, "--kafka", "127.0.0.1:1", "--json")
    assert result.exit_code == 1
    assert "bootstrap.servers" in only(result, "reachable")[2]


def test_a_configuration_of_two_sources(
    database: Database, empty_database: Database, kafka: TestKafka, tmp_path: Any
) -> None:
    """One of them in libpq's other form."""
    parts = urlsplit(database.relay_url)
    other = f"host={parts.hostname} port={parts.port} user=relay password=relay dbname={database.name}"
    file = tmp_path / "relay.toml"
    file.write_text(
        f'[kafka]\n"bootstrap.servers" = "{kafka.bootstrap}"\n'
        f'[[source]]\nname = "a"\ndatabase = "{other}"\n[[source]]\nname = "b"\ndatabase = "{empty_database.url}"\n'
    )
    result = CliRunner().invoke(main, ["doctor", "--config", str(file), "--json"])
    assert [level for level, _, _ in findings(result, "schema")] == ["ok", "problem"]
    assert [level for level, _, _ in findings(result, "reachable")] == ["ok"]
    assert CliRunner().invoke(main, ["doctor"]).exit_code == 2


def test_each_of_several_databases_is_examined(database: Database, empty_database: Database) -> None:
    gone = "postgresql://relay@127.0.0.1:1/gone"
    result = examined(gone, "--database", empty_database.url, "--database", database.relay_url, "--json")
    assert result.exit_code == 1
    assert [level for level, _, _ in findings(result, "reachable")] == ["problem"]
    assert [level for level, _, _ in findings(result, "schema")] == ["problem", "ok"]
    twice = examined("mysql://u:secret@h/x", "--database", database.relay_url)
    assert (twice.exit_code, "secret" in twice.output) == (2, False)


def test_what_the_database_says_does_not_steer_a_terminal(database: Database) -> None:
    with connect(database.participant_url, application_name="x") as app, connect(database.url) as owner:
        app.execute("BEGIN")
        publish(app, "t", "k", "x")
        owner.execute("BEGIN")
        owner.execute("SELECT pg_current_xact_id()")
        owner.execute("PREPARE TRANSACTION E'\\x1b[31mred'")
        result = examined(database.url, "--long", "0")
        owner.execute("ROLLBACK PREPARED E'\\x1b[31mred'")
    assert "\x1b" not in result.output
    assert "\\x1b[31mred" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("configured", "in_sync", "least", "level"),
    [(3, 3, "2", None), (3, 3, "1", "problem"), (3, 3, "3", "warning"), (3, 1, "2", "problem"), (1, 1, "1", "warning")],
)
def test_what_replication_is_enough(configured: int, in_sync: int, least: str, level: str | None) -> None:
    """The tests' cluster has one broker: what more of them would say is judged here."""
    from onceward_relay.cluster import Replicas
    from onceward_relay.doctor.durability import durability

    found = list(durability("t", Replicas(configured, in_sync), {"min.insync.replicas": least}))
    assert [each.level for each in found] == ([level] if level else [])
    assert all(each.remedy for each in found)


def test_what_the_exactly_once_mode_rests_on(database: Database, kafka: TestKafka, tmp_path: Any) -> None:
    file = tmp_path / "relay.toml"

    def found(delivery: str) -> list[tuple[str, str, str]]:
        source = f'[[source]]\nname = "{database.name}"\ndatabase = "{database.relay_url}"\ndelivery = "{delivery}"\n'
        file.write_text(f'[kafka]\n"bootstrap.servers" = "{kafka.bootstrap}"\n{source}')
        result = CliRunner().invoke(main, ["doctor", "--config", str(file), "--json"])
        of_mode = {"transactions", "page numbers", "replicas"}
        all_of_it = json.loads(result.stdout)["findings"]
        return [(each["subject"], each["check"], each["level"]) for each in all_of_it if each["check"] in of_mode]

    once, topic = {"delivery": "exactly_once"}, kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka, name=database.name, source=once) as relay:
        publish(owner, topic, "k", "x")
        relay.wait_settled(1)
    servers = f"kafka {kafka.bootstrap}"
    assert [each for each in found("exactly_once") if each[0] != f"topic {topic}"] == [
        (servers, "transactions", "ok"),
        (servers, "page numbers", "ok"),
        ("topic __consumer_offsets", "replicas", "warning"),
        ("topic __transaction_state", "replicas", "warning"),
    ], "the tests' broker is alone"
    assert [each for each in found("at_least_once") if each[0] != f"topic {topic}"] == []


@pytest.mark.parametrize(
    ("minutes", "level"), [("1", "problem"), ("60", "problem"), ("61", "warning"), ("1440", "warning"), ("10080", "ok")]
)
def test_how_long_page_numbers_must_be_remembered(minutes: str, level: str) -> None:
    """The relay repeats a number after an idle hour; what is left is the time for which it may be down after a crash."""
    from onceward_relay.doctor.exactly_once import of_mode

    found = list(
        of_mode({1: {"offsets.retention.minutes": "10080"}, 2: {"offsets.retention.minutes": minutes}, 3: None})
    )
    assert [(each.check, each.level) for each in found] == [("transactions", "ok"), ("page numbers", level)]


@pytest.mark.parametrize(
    ("limits", "safe", "short"),
    [
        (["900000", "60000"], True, False),
        (["900000", "59999"], True, True),
        (["900000", str(2**31 - 1)], False, False),
        (["900000", None], False, False),
        ([None], False, False),
    ],
)
def test_a_transactional_id_is_asked_only_of_brokers_that_must_refuse(
    limits: list[str | None],
    safe: bool,
    short: bool,
) -> None:
    from onceward_relay.exactly_once_rights import are_safe_to_ask, too_short

    brokers = {
        number: None if limit is None else {"transaction.max.timeout.ms": limit} for number, limit in enumerate(limits)
    }
    assert are_safe_to_ask(brokers) is safe
    assert bool(too_short(brokers)) is short
