"""A source that cannot be relayed says why, does not stop the others, and begins by itself when it can."""

import json
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from onceward import migrations
from onceward_relay.daemon import Daemon
from onceward_relay.embedded.postgres import EmbeddedPostgres, free_port
from onceward_relay.metrics import SourceState
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.servers.proxy import pooled, proxy
from tests.support import eventually

from .support import Relay, connect, publish, relaying, rows, running, settings, values

END_OF_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceward-relay payer' AND datname = %s"


@contextmanager
def relaying_both(database: Database, kafka: TestKafka, other: str) -> Iterator[tuple[Daemon, SourceState]]:
    """Run a relay of a good source, and of another that is in trouble; check that the good one works all the same."""
    topic = kafka.create_topic()
    with running(settings(kafka, {"payer": database.relay_url, "broken": other})) as daemon:
        state = daemon.metrics.states["broken"]
        eventually(lambda: state.state not in ("starting", "owner"), describe=lambda: state)
        with connect(database.participant_url) as app:
            publish(app, topic, "k", "flows")
        eventually(lambda: values(kafka.records(topic)) == ["flows"])
        yield daemon, state


def at(url: str, **changes: Any) -> str:
    """Return `url` at another address or for another user."""
    parts = urlsplit(url)
    user, host, port = changes.get("user", parts.username), parts.hostname, changes.get("port", parts.port)
    return urlunsplit(parts._replace(netloc=f"{user}@{host}:{port}", path=changes.get("path", parts.path)))


def test_an_unreachable_server(database: Database, kafka: TestKafka) -> None:
    with relaying_both(database, kafka, at(database.relay_url, port=free_port())) as (_, state):
        assert (state.state, "refused" in state.reason) == ("broken", True)


def test_a_database_that_does_not_exist(database: Database, kafka: TestKafka) -> None:
    with relaying_both(database, kafka, at(database.relay_url, path="/nobodys")) as (_, state):
        assert (state.state, "does not exist" in state.reason) == ("broken", True)


def test_a_login_that_is_refused(database: Database, empty_database: Database, kafka: TestKafka) -> None:
    with relaying_both(database, kafka, at(empty_database.url, user="nobody")) as (daemon, state):
        assert (state.state, "nobody" in state.reason) == ("broken", True)
        errors = daemon.metrics.registry.get_sample_value(
            "onceward_relay_errors_total", {"source": "broken", "kind": "unreachable"}
        )
        assert errors is not None
        assert errors >= 1


def test_a_missing_schema_and_its_installation(database: Database, empty_database: Database, kafka: TestKafka) -> None:
    with relaying_both(database, kafka, empty_database.relay_url) as (_, state):
        assert "run `onceward schema install`" in state.reason
        migrations.install(empty_database.url)
        with connect(empty_database.url) as owner:
            owner.execute("GRANT onceward_relay TO relay")
        eventually(lambda: state.state == "owner", describe=lambda: state)


def revise(database: Database, revision: str, oldest_relay: str) -> None:
    with connect(database.url) as owner:
        owner.execute("UPDATE onceward.schema_version SET version_num = %s", (revision,))
        owner.execute(
            f"CREATE OR REPLACE FUNCTION onceward.oldest_relay() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{oldest_relay}' $$"
        )


def test_a_newer_schema_that_lets_this_relay_go_on(
    database: Database, kafka: TestKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = kafka.create_topic()
    revise(database, "9998", migrations.NEWEST)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", "1")
        relay.wait_settled(1)
    said = capsys.readouterr()
    assert "9998" in (said.out + said.err)


@pytest.mark.parametrize(
    ("revision", "oldest_relay", "remedy"),
    [("9998", "9997", "upgrade the relay"), ("0001", "0001", "onceward schema upgrade")],
)
def test_a_schema_that_this_relay_cannot_work_with(
    database: Database, kafka: TestKafka, revision: str, oldest_relay: str, remedy: str
) -> None:
    revise(database, revision, oldest_relay)
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.state == "broken", describe=lambda: relay.state)
        assert remedy in relay.state.reason
        assert revision in relay.state.reason


def test_a_role_without_rights(database: Database, postgres: TestServer, kafka: TestKafka) -> None:
    other = postgres.create_database(installed=True)
    with relaying_both(database, kafka, postgres.login(other, "app")) as (_, state):
        assert "grant onceward_relay to the relay's role" in state.reason


def test_a_pooler_is_refused(database: Database, empty_database: Database, kafka: TestKafka) -> None:
    parts = urlsplit(empty_database.url)
    with (
        proxy(str(parts.hostname), parts.port or 5432, pooled) as pooler,
        relaying_both(database, kafka, at(empty_database.url, port=pooler.port)) as (_, state),
    ):
        assert "a connection pooler stands between" in state.reason


def test_a_standby_is_refused(database: Database, own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    url = TestServer(own_postgres).create_database(installed=True)
    own_postgres.stop()
    (own_postgres._data / "standby.signal").touch()
    own_postgres.start()
    with relaying_both(database, kafka, at(url, user="relay")) as (_, state):
        assert "the server is a standby" in state.reason


def test_many_that_are_broken_at_once_do_not_delay_a_good_one(
    database: Database, empty_database: Database, postgres: TestServer, kafka: TestKafka
) -> None:
    """Each says its own reason; one of them is a host that takes the connection and never answers."""
    topic = kafka.create_topic()
    parts = urlsplit(postgres.create_database(installed=True))
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        proxy(str(parts.hostname), parts.port or 5432, pooled) as pooler,
    ):
        mute_port = mute.getsockname()[1]
        sources = {
            "unreachable": (at(database.relay_url, port=free_port()), "refused"),
            "nobodys": (at(database.relay_url, path="/nobodys"), "does not exist"),
            "nobody": (at(database.relay_url, user="nobody", path="/postgres"), "nobody"),
            "bare": (empty_database.relay_url, "onceward schema install"),
            "pooled": (at(urlunsplit(parts), port=pooler.port), "pooler"),
            **{f"mute-{n}": (at(database.relay_url, port=mute_port, path=f"/mute{n}"), "") for n in range(10)},
        }
        urls = {name: url for name, (url, _) in sources.items()}
        with running(settings(kafka, {**urls, "payer": database.relay_url})) as daemon:
            states = daemon.metrics.states
            with connect(database.participant_url) as app:
                publish(app, topic, "k", "flows")
            eventually(lambda: values(kafka.records(topic)) == ["flows"])
            assert states["mute-9"].state == "starting", "it is still waited for"
            for name, (_, reason) in sources.items():
                if reason:
                    eventually(lambda: states[name].state == "broken", describe=lambda: states[name])  # noqa: B023 -- called at once
                    assert reason in states[name].reason
            with urllib.request.urlopen(f"http://{daemon.address}/health/ready", timeout=5) as answer:
                shown = {each["name"]: each["reason"] for each in json.loads(answer.read())["sources"]}
            assert all(reason in shown[name] for name, (_, reason) in sources.items())
            eventually(lambda: states["mute-9"].state == "broken", describe=lambda: states["mute-9"])


def test_a_source_comes_back_after_its_server(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    """The server is restarted under a running relay."""
    url = TestServer(own_postgres).create_database(installed=True)
    topic = kafka.create_topic(partitions=1)
    with running(settings(kafka, {"payer": at(url, user="relay")})) as daemon:
        state = daemon.metrics.states["payer"]
        with connect(url) as owner:
            publish(owner, topic, "k", "1")
        eventually(lambda: values(kafka.records(topic)) == ["1"])
        own_postgres.restart()
        with connect(url) as owner:
            publish(owner, topic, "k", "2")
        eventually(lambda: values(kafka.records(topic)) == ["1", "2"], describe=lambda: state)


def test_a_session_that_the_server_ends(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka):
        for number in range(3):
            publish(owner, topic, "k", str(number))
            eventually(lambda: str(number) in values(kafka.records(topic)))  # noqa: B023 -- called at once
            eventually(lambda: owner.execute(END_OF_SESSION, (database.name,)).fetchall() == [(True,)])
    assert list(dict.fromkeys(values(kafka.records(topic)))) == ["0", "1", "2"]


def test_a_second_relay_stands_by_and_takes_over(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    before = settings(kafka, {"payer": database.relay_url}, name="first-to-come")
    with connect(database.participant_url) as app, running(before) as daemon:
        first = Relay(daemon, database, kafka)
        first.wait_owner()
        with relaying(database, kafka) as second:
            eventually(lambda: second.state.state == "stand_by", describe=lambda: second.state)
            publish(app, topic, "k", "1")
            first.wait_settled(1)
            assert second.count("sent_total") == 0
            first.daemon.close()
            second.wait_owner()
            publish(app, topic, "k", "2")
            second.wait_settled(1)
            assert second.count("lease_changes_total", change="taken") == 1
    assert values(kafka.records(topic)) == ["1", "2"]
    assert rows(database, "SELECT epoch, relay FROM onceward.ownership ORDER BY epoch") == [
        (1, "first-to-come"),
        (2, "test"),
    ]


def test_a_stop_lets_go_of_the_lease_at_once(database: Database, kafka: TestKafka) -> None:
    with relaying(database, kafka) as relay:
        relay.wait_owner()
    with connect(database.url) as eye:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        eventually(lambda: eye.execute(held).fetchone() == (0,))


def pg_dump(source: str, target: str) -> None:
    """Copy a database as pg_dump and psql do."""
    import subprocess

    from onceward_relay.embedded.postgres import wheel_binaries

    tool = str(wheel_binaries() / "pg_dump")
    dump = subprocess.run([tool if shutil.which(tool) else "pg_dump", source], capture_output=True, check=True)
    subprocess.run(
        [str(wheel_binaries() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", target],
        input=dump.stdout,
        check=True,
        capture_output=True,
    )


def test_a_restored_dump_halts(database: Database, empty_database: Database, kafka: TestKafka) -> None:
    """Its snapshots are another history's: nobody can tell what was sent."""
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app:
        publish(app, topic, "k", "1")
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    pg_dump(database.url, empty_database.url)
    with connect(empty_database.url) as owner, relaying(empty_database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
        assert "restored dump" in relay.state.reason
        publish(owner, topic, "k", "2")
        beats = relay.state.beat_at
        eventually(lambda: relay.state.beat_at > beats + 3)
        assert relay.state.state == "halted"
    assert values(kafka.records(topic)) == ["1"]


@pytest.mark.parametrize(
    "command",
    [
        "VACUUM FULL onceward.checkpoint",
        "VACUUM FREEZE onceward.checkpoint",
        "CLUSTER onceward.checkpoint USING checkpoint_pkey",
    ],
)
def test_maintenance_does_not_halt(database: Database, kafka: TestKafka, command: str) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner:
        publish(owner, topic, "k", "1")
        with relaying(database, kafka) as relay:
            relay.wait_settled(1)
        owner.execute(command)
        publish(owner, topic, "k", "2")
        with relaying(database, kafka) as relay:
            relay.wait_settled(1)
            assert relay.state.state == "owner"
    assert values(kafka.records(topic)) == ["1", "2"]


def test_a_checkpoint_ahead_of_the_server_halts(database: Database, kafka: TestKafka) -> None:
    """As after a failover that lost the newest transactions, had the checkpoint survived."""
    with connect(database.url) as owner:
        owner.execute("INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'x')")
        owner.execute("INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, '4000000000:4000000000:')")
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
        assert "ahead of the server's transactions" in relay.state.reason


def test_an_outbox_from_another_history_halts(database: Database, kafka: TestKafka) -> None:
    """A dump of a database that was never relayed: there is no checkpoint to tell."""
    with connect(database.url) as owner:
        owner.execute(
            "INSERT INTO onceward.outbox (message_id, topic, key, type, payload, xid) VALUES (gen_random_uuid(), 't', 'k', 'T', '', '4000000000')"
        )
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
        assert "yet to begin" in relay.state.reason


def test_a_halted_source_leaves_no_trace(database: Database, kafka: TestKafka) -> None:
    with connect(database.url) as owner:
        owner.execute("INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, '4000000000:4000000000:')")
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
    assert rows(
        database, "SELECT (SELECT count(*) FROM onceward.checkpoint), (SELECT count(*) FROM onceward.ownership)"
    ) == [(1, 0)]


def test_burnt_transaction_ids_are_used_again_after_a_crash(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    """What the relay has in memory is ahead of the server after the crash; it must come back from the checkpoint."""
    url = TestServer(own_postgres).create_database(installed=True)
    topic = kafka.create_topic(partitions=1)
    with running(settings(kafka, {"payer": at(url, user="relay")})) as daemon:

        def sent() -> float | None:
            return daemon.metrics.registry.get_sample_value("onceward_relay_sent_total", {"source": "payer"})

        with connect(url) as owner:
            publish(owner, topic, "k", "1")
            eventually(lambda: sent() == 1)
            owner.execute("SET synchronous_commit = off")
            burnt = [int(owner.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) for _ in range(300)]  # type: ignore[index]
        own_postgres.kill()
        own_postgres.start()
        with connect(url) as owner:
            used = int(owner.execute("SELECT pg_current_xact_id()::text").fetchone()[0])  # type: ignore[index]
            assert used < burnt[-1], "the crash has not brought the ids back; the test shows nothing"
            for number in range(2, 6):
                publish(owner, topic, "k", str(number))
        eventually(lambda: values(kafka.records(topic))[-1] == "5")
    assert list(dict.fromkeys(values(kafka.records(topic)))) == ["1", "2", "3", "4", "5"]


def test_an_asynchronous_commit_is_sent_only_once_it_is_durable(
    own_postgres: EmbeddedPostgres, kafka: TestKafka
) -> None:
    """Without the flush gate the crash would take back what was sent."""
    url = TestServer(own_postgres).create_database(installed=True)
    topic = kafka.create_topic(partitions=1)
    with connect(url) as owner:
        owner.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        owner.execute("SELECT pg_reload_conf()")
    with running(settings(kafka, {"payer": at(url, user="relay")})):
        for number in range(3):
            with connect(url) as owner:
                owner.execute("SET synchronous_commit = off")
                publish(owner, topic, "k", str(number))
                eventually(lambda: str(number) in values(kafka.records(topic)))  # noqa: B023 -- called at once
            own_postgres.kill()
            own_postgres.start()
            with connect(url) as owner:
                there = owner.execute(
                    "SELECT array_agg(convert_from(payload, 'UTF8') ORDER BY id) FROM onceward.outbox"
                ).fetchone()
                assert there == ([str(n) for n in range(number + 1)],)


def test_a_pooled_connection_is_not_mistaken_for_a_direct_one(database: Database) -> None:
    """The proof that the check above is made of the right stuff: a direct connection passes it."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row == (connection.info.backend_pid,)
