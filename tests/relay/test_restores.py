"""What a relay does on restored, recovered, promoted, upgraded and copied databases: docs/restores.md says the same."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from onceward_relay.cli import main
from onceward_relay.daemon import Daemon
from onceward_relay.embedded.postgres import EmbeddedPostgres, wheel_binaries
from onceward_relay.stream import Stream
from tests.conftest import available, without
from tests.servers.copies import (
    KEEP_WAL,
    base_backup_of,
    files_of,
    promote,
    recovered,
    standby_of,
    upgraded,
    wait_replayed,
)
from tests.servers.kafka import TestKafka
from tests.servers.postgres import NEWEST, SETTINGS, VERSIONS, TestServer, local_binaries
from tests.support import eventually

from .support import Connection, by_key, connect, publish, publish_many, running, settings, values

TRAVELLED = "the checkpoint comes from another server or timeline: a failover, or a copied cluster"
UNSETTLED = """
WITH c AS (SELECT * FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1)
SELECT o.message_id::text FROM onceward.outbox o LEFT JOIN c ON true
 WHERE c IS NULL OR NOT (pg_visible_in_snapshot(o.xid, c.s1) OR (c.s2 IS NOT NULL AND pg_visible_in_snapshot(o.xid, c.s2) AND o.id <= c.last_id))
 ORDER BY o.id
"""
"""What the newest checkpoint leaves to be sent, in words of its own."""


@dataclass
class Watched:
    """A running relay and what it logs."""

    daemon: Daemon
    log: Sequence[Any]

    @property
    def state(self) -> Any:
        return self.daemon.metrics.states["payer"]

    def said(self, text: str) -> bool:
        return any(text in entry["event"] for entry in self.log)

    def sent(self) -> float:
        return self.daemon.metrics.registry.get_sample_value("onceward_relay_sent_total", {"source": "payer"}) or 0

    def wait_sent(self, messages: int) -> None:
        eventually(lambda: self.sent() >= messages, 60, lambda: (self.state, self.sent()))


@contextmanager
def relaying(kafka: TestKafka, *servers: EmbeddedPostgres, database: str) -> Iterator[Watched]:
    """Run a relay of `database` on whichever of the servers is the primary."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    url = f"postgresql://relay@{hosts}/{database}?target_session_attrs=read-write"
    with capture_logs() as log, running(settings(kafka, {"payer": url})) as daemon:
        yield Watched(daemon, log)


def installed(server: EmbeddedPostgres) -> str:
    """Make a database with the schema and return its name."""
    return TestServer(server).create_database(installed=True).rpartition("/")[2]


def fetch(connection: Connection, query: str, *parameters: Any) -> list[Any]:
    """Return the first column."""
    return [row[0] for row in connection.execute(query, parameters).fetchall()]


def ids(records: Sequence[Any]) -> list[str]:
    return [dict(record.headers())["ce_id"].decode() for record in records]


def firsts(found: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(found))


def test_an_asynchronous_promotion_loses_no_message_committed_after_it(
    own_postgres: EmbeddedPostgres, kafka: TestKafka
) -> None:
    """Rows that were sent are gone, and the new primary gives their ids and transaction ids to others.

    The checkpoint came with the data: it is as old as they are, and knows nothing of what was lost.
    """
    database, topic = installed(own_postgres), kafka.create_topic(partitions=1)
    with standby_of(own_postgres) as standby, relaying(kafka, own_postgres, standby, database=database) as relay:
        with connect(own_postgres.url(database)) as app:
            for number in range(20):
                publish(app, topic, "k", str(number))
            relay.wait_sent(20)
            wait_replayed(standby, own_postgres)
            standby.stop()
            for number in range(20, 60):
                publish(app, topic, "k", str(number))
            relay.wait_sent(60)
            lost = set(app.execute("SELECT xid::text FROM onceward.outbox WHERE id > 20").fetchall())
            lost_ids = set(app.execute("SELECT id FROM onceward.outbox WHERE id > 20").fetchall())
        own_postgres.kill()
        standby.start()
        promote(standby)
        with connect(standby.url(database)) as app:
            assert fetch(app, "SELECT count(*) FROM onceward.outbox") == [20], (
                "nothing was lost; the test shows nothing"
            )
            for number in range(60, 120):
                publish(app, topic, "k", str(number))
            again = set(app.execute("SELECT xid::text FROM onceward.outbox").fetchall())
            assert len(again & lost) > 10, "no transaction id was used again; the test shows nothing"
            assert set(app.execute("SELECT id FROM onceward.outbox").fetchall()) & lost_ids
            eventually(lambda: values(kafka.records(topic))[-1:] == ["119"], describe=lambda: relay.state)
        assert relay.state.state == "owner"
        assert relay.said(TRAVELLED)
    assert firsts(values(kafka.records(topic))) == [str(n) for n in range(120)]


def test_a_synchronous_promotion_loses_nothing(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    """The primary is killed while messages are published; whatever was committed is there and goes out, in order."""
    database, topic = installed(own_postgres), kafka.create_topic(partitions=1)
    with standby_of(own_postgres) as standby, relaying(kafka, own_postgres, standby, database=database) as relay:
        with connect(own_postgres.url()) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
            eventually(lambda: fetch(admin, "SELECT sync_state FROM pg_stat_replication") == ["sync"])
        committed: list[str] = []

        def work() -> None:
            with connect(own_postgres.url(database)) as app:
                while True:
                    committed.append(publish(app, topic, "k", "x"))

        thread = threading.Thread(target=_until_the_server_ends, args=(work,))
        thread.start()
        relay.wait_sent(100)
        own_postgres.kill()
        thread.join(30)
        standby.stop()
        with (standby._data / "postgresql.auto.conf").open("a") as configuration:
            configuration.write("synchronous_standby_names = ''\n")  # it came with the base backup
        standby.start()
        promote(standby)
        with connect(standby.url(database)) as app:
            committed += [publish(app, topic, "k", "y") for _ in range(50)]
            present = fetch(app, "SELECT message_id::text FROM onceward.outbox ORDER BY id")
            eventually(lambda: ids(kafka.records(topic))[-1:] == present[-1:], describe=lambda: relay.state)
        assert relay.said(TRAVELLED)
    assert set(committed) <= set(present), "a synchronous commit was lost by PostgreSQL; the test shows nothing"
    assert firsts(ids(kafka.records(topic))) == present, "all that was committed, and no more, in order"


def _until_the_server_ends(work: Any) -> None:
    try:
        work()
    except psycopg.OperationalError:
        return


def reconcile(url: str, *options: str) -> str:
    """Run the command on a database, and return what it printed."""
    arguments = ["relay", "reconcile", "--actor", "ada", "--reason", "restored", *options]
    done = CliRunner().invoke(main, arguments, env={"ONCEWARD_DATABASE": url, "COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_a_restored_dump_is_reconciled(postgres: TestServer, kafka: TestKafka, tmp_path: Path, form: str) -> None:
    """Sent, unsent and held messages: all that are present go again under their ids, in order, and what comes after."""
    topic = kafka.create_topic(partitions=3, **{"max.message.bytes": "1000"})
    old, new = postgres.create_database(installed=True), postgres.create_database()
    relay_of = {url: settings(kafka, {"payer": postgres.login(url, "relay")}) for url in (old, new)}
    with connect(old) as app:
        with running(relay_of[old]) as daemon:
            publish_many(app, topic, 30, keys=3)
            publish(app, topic, "held", "x" * 2000)
            publish(app, topic, "held", "behind")
            metrics = daemon.metrics.registry
            eventually(lambda: metrics.get_sample_value("onceward_relay_sent_total", {"source": "payer"}) == 30)
            eventually(lambda: fetch(app, "SELECT count(*) FROM onceward.held_message") == [2])
        publish_many(app, topic, 30, keys=3, first=30)
        sent_before = ids(kafka.records(topic))
        present = fetch(app, "SELECT message_id::text FROM onceward.outbox WHERE key <> 'held' ORDER BY id")
    dump_and_restore(old, new, tmp_path / "dump", form)
    with connect(new) as app, running(relay_of[new]) as daemon:
        state = daemon.metrics.states["payer"]
        eventually(lambda: state.state == "halted", describe=lambda: state)
        assert "onceward relay reconcile" in state.reason
        shown = reconcile(new)
        assert "HALTED: its checkpoint was copied from another database (a restored dump)" in shown
        assert "60 messages will be sent again under the same ids; 2 messages set aside stay" in shown
        assert len(kafka.records(topic)) == 30, "a dry run lets nothing out"
        reconcile(new, "--apply")
        publish_many(app, topic, 30, keys=3, first=60)
        publish(app, topic, "held", "behind too")
        present += fetch(
            app, "SELECT message_id::text FROM onceward.outbox WHERE key <> 'held' ORDER BY id DESC LIMIT 30"
        )[::-1]
        eventually(lambda: set(ids(kafka.records(topic))) >= set(present), describe=lambda: state)
        eventually(
            lambda: fetch(app, "SELECT state FROM onceward.held_message ORDER BY id") == ["poison", "behind", "behind"]
        )
        again = kafka.records(topic)
    assert sorted(ids(again)) == sorted(sent_before + present), "each message that is present once more, under its id"
    order = {key.encode(): [str(n) for n in range(90) if n % 3 == i] for i, key in enumerate(("k0", "k1", "k2"))}
    assert {key: firsts(found) for key, found in by_key(again).items()} == order
    assert {key: found[10:] for key, found in by_key(again).items()} == order, "the second time in order as well"


def dump_and_restore(old: str, new: str, file: Path, form: str) -> None:
    tools = wheel_binaries()
    subprocess.run([tools / "pg_dump", "-F", form, "-f", file, old], check=True, capture_output=True)
    restore: list[str | Path] = [tools / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, new]
    if form == "custom":
        restore = [tools / "pg_restore", "--exit-on-error", "-j", "2", "-d", new, file]
    subprocess.run(restore, check=True, capture_output=True)


def test_a_copy_of_the_files_goes_on_where_it_was(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    """What the original did after the copy is unknown to it; it loses nothing of its own, and cannot be told apart."""
    database, topic = installed(own_postgres), kafka.create_topic(partitions=1)
    with connect(own_postgres.url(database)) as app, relaying(kafka, own_postgres, database=database) as relay:
        for number in range(5):
            publish(app, topic, "k", str(number))
        relay.wait_sent(5)
    with connect(own_postgres.url(database)) as app:
        publish(app, topic, "k", "5")  # not sent yet
    own_postgres.stop()
    with files_of(own_postgres) as copy:
        own_postgres.start()
        with connect(own_postgres.url(database)) as app, relaying(kafka, own_postgres, database=database) as relay:
            for number in range(6, 40):
                publish(app, topic, "k", str(number))
            relay.wait_sent(35)
        own_postgres.stop()
        mark = len(kafka.records(topic))
        copy.start()
        with connect(copy.url(database)) as app, relaying(kafka, copy, database=database) as relay:
            for number in range(40, 80):
                publish(app, topic, "k", str(number))
            eventually(lambda: values(kafka.records(topic))[-1:] == ["79"], describe=lambda: relay.state)
            assert relay.state.state == "owner"
            assert not relay.said(TRAVELLED), "nothing shows that these are copied files"
    assert firsts(values(kafka.records(topic))[mark:]) == ["5", *(str(n) for n in range(40, 80))]


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    """A server that keeps all its WAL."""
    with available(EmbeddedPostgres(local_binaries(NEWEST), settings=SETTINGS | KEEP_WAL)) as server:
        yield server


def test_a_point_in_time_recovery_loses_nothing_of_what_is_there(primary: EmbeddedPostgres, kafka: TestKafka) -> None:
    """At points all over a busy time, in open windows too: what its checkpoint leaves goes out, and all that comes after."""
    database, topic = installed(primary), kafka.create_topic(partitions=2)
    with base_backup_of(primary) as backup:
        points = _busy_time(primary, database, kafka, topic)
        primary.stop()
        wal = primary._data / "pg_wal"
        for lsn in points:
            with recovered(backup, wal, lsn) as copy:
                _goes_on(copy, database, kafka, topic)


def _goes_on(copy: EmbeddedPostgres, database: str, kafka: TestKafka, topic: str) -> None:
    mark = len(kafka.records(topic))
    with connect(copy.url(database)) as app:
        expected = fetch(app, UNSETTLED)
        with relaying(kafka, copy, database=database) as relay:
            expected += [publish(app, topic, f"k{n % 2}", f"after {n}") for n in range(40)]
            relay.wait_sent(len(expected))
            assert (relay.state.state, relay.said(TRAVELLED)) == ("owner", True)
    assert sorted(ids(kafka.records(topic)[mark:])) == sorted(expected)


def _busy_time(primary: EmbeddedPostgres, database: str, kafka: TestKafka, topic: str) -> list[str]:
    """Publish and relay; return positions in the WAL: with an open window, with a transaction open, and settled."""
    points: dict[str, str] = {}
    look = """SELECT pg_current_wal_insert_lsn()::text, c.s2 IS NOT NULL, EXISTS (SELECT FROM pg_prepared_xacts)
                FROM onceward.checkpoint c ORDER BY epoch DESC, seq DESC LIMIT 1"""
    with connect(primary.url(database)) as app, connect(primary.url(database)) as eye:
        publish_many(app, topic, 12000, keys=2)
        with relaying(kafka, primary, database=database) as relay:

            def seen(name: str, window: bool, prepared: bool) -> bool:
                found = eye.execute(look).fetchone()
                if found is None or found[1:] != (window, prepared):
                    return False
                points[name] = found[0]
                return True

            eventually(lambda: seen("open window", True, False))
            relay.wait_sent(12000)
            app.execute("BEGIN")
            publish(app, topic, "k0", "prepared")
            app.execute("PREPARE TRANSACTION 'late'")
            publish_many(eye, topic, 100, keys=2)
            relay.wait_sent(12100)
            eventually(lambda: seen("transaction open", False, True))
            app.execute("COMMIT PREPARED 'late'")
            relay.wait_sent(12101)
            eventually(lambda: seen("settled", False, False))
            publish_many(app, topic, 7000, keys=2)  # lost in every recovery
            relay.wait_sent(19101)
    assert len(points) == 3
    return list(points.values())


def test_an_upgraded_server_goes_on_where_it_was(kafka: TestKafka) -> None:
    """pg_upgrade carries rows, transaction ids and their states over: nothing is lost, and what was sent is not sent again."""
    old_binaries = [found for major in VERSIONS[:-1] if ((found := local_binaries(major)) / "pg_resetwal").exists()]
    if not old_binaries:
        without("pg_upgrade needs all programs of an older PostgreSQL, as Debian's postgresql-15 has them")
    topic = kafka.create_topic(partitions=1, max_message_bytes="2000")
    with available(EmbeddedPostgres(old_binaries[-1], settings=SETTINGS)) as old:
        database = installed(old)
        with connect(old.url(database)) as app:
            with relaying(kafka, old, database=database) as relay:
                publish_many(app, topic, 50, keys=1)
                publish(app, topic, "held", b"x" * 3000)
                relay.wait_sent(50)
                eventually(lambda: fetch(app, "SELECT count(*) FROM onceward.held_message") == [1])
            publish_many(app, topic, 30, keys=1, first=50)
        old.stop()
        with upgraded(old) as new:
            new.start()
            with connect(new.url(database)) as app, relaying(kafka, new, database=database) as relay:
                publish_many(app, topic, 20, keys=1, first=80)
                publish(app, topic, "held", "behind")
                relay.wait_sent(50)
                eventually(
                    lambda: fetch(app, "SELECT state FROM onceward.held_message ORDER BY id") == ["poison", "behind"]
                )
                assert (relay.state.state, relay.said(TRAVELLED)) == ("owner", True)
                assert app.info.server_version // 10000 == NEWEST
    assert by_key(kafka.records(topic)) == {b"k0": [str(n) for n in range(100)]}


def look_of(relay: Watched) -> int:
    """Return up to which transaction the relay has looked."""
    stream = next(iter(relay.daemon._fleet._sources.values()))._stream
    return stream._settled.s1.xmax if isinstance(stream, Stream) else 0


def test_transaction_ids_that_a_crash_gives_again(own_postgres: EmbeddedPostgres, kafka: TestKafka) -> None:
    """The relay's last look was ahead of what survives: it forgets it with the session, and no new row is taken for an old one."""
    database, topic = installed(own_postgres), kafka.create_topic(partitions=1)
    with relaying(kafka, own_postgres, database=database) as relay:
        with connect(own_postgres.url(database)) as app:
            publish(app, topic, "k", "first")
            relay.wait_sent(1)
            app.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")  # what is not flushed by then is lost
            app.execute("SELECT pg_reload_conf()")
            app.execute("SET synchronous_commit = off")
            app.execute("DO $$ BEGIN FOR n IN 1..300 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
            [seen] = fetch(app, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            eventually(lambda: look_of(relay) >= seen, describe=lambda: look_of(relay))
        own_postgres.kill()
        own_postgres.start()
        with connect(own_postgres.url(database)) as app:
            [now] = fetch(app, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            assert now < seen, "no transaction id is given again; the test shows nothing"
            sent = [publish(app, topic, "k", str(number)) for number in range(100)]
            eventually(lambda: ids(kafka.records(topic))[-1:] == sent[-1:], describe=lambda: relay.state)
    assert firsts(ids(kafka.records(topic)))[1:] == sent
