"""Slots of the outbox are emptied with proof only: no row that is still to be sent is ever gone."""

import json
import math
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from onceward_relay import rotation
from onceward_relay.cli import main
from onceward_relay.embedded.postgres import EmbeddedPostgres
from onceward_relay.growth import Growth
from tests.conftest import Database, fresh_database
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.support import eventually

from .support import Connection, connect, publish, publish_many, relaying, rows, values

COUNT = "SELECT count(*) FROM onceward.outbox"


def freeze(database: Database, slot: int) -> None:
    """Make `slot` the present one, as if time stood still or had passed."""
    with connect(database.url) as owner:
        owner.execute(
            f"CREATE OR REPLACE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE RETURN {slot}::smallint"
        )


def rotate(database: Database, slot: int) -> str:
    return str(rows(database, "SELECT onceward.rotate(%s::smallint)", slot)[0][0])


@pytest.fixture
def topic(database: Database, kafka: TestKafka) -> str:
    freeze(database, 0)
    return kafka.create_topic(partitions=1)


@pytest.fixture
def app(database: Database) -> Iterator[Connection]:
    with connect(database.participant_url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "ROTATE_EVERY", 0.05)


def relay_all(database: Database, kafka: TestKafka, count: int) -> None:
    with relaying(database, kafka) as relay:
        relay.wait_settled(count)


def test_a_relay_empties_what_is_settled(database: Database, kafka: TestKafka, topic: str, app: Connection) -> None:
    with relaying(database, kafka) as relay:
        with connect(database.url) as owner:
            publish_many(owner, topic, 100)
        relay.wait_settled(100)
        assert rows(database, COUNT) == [(100,)], "the present slot is left alone"
        freeze(database, 1)
        publish(app, topic, "k", "later")
        eventually(lambda: rows(database, COUNT) == [(1,)])
        relay.wait_settled(101)
        eventually(lambda: relay.count("rotations_total", result="emptied") == 1)
        assert relay.count("outbox_bytes") > 0
    assert len(kafka.records(topic)) == 101


def test_what_is_not_covered_by_a_checkpoint_stays(
    database: Database, kafka: TestKafka, topic: str, app: Connection
) -> None:
    publish(app, topic, "k", "1")
    freeze(database, 1)
    assert rotate(database, 0) == "not settled", "nothing was ever relayed"
    relay_all(database, kafka, 1)
    freeze(database, 0)
    publish(app, topic, "k", "2")
    freeze(database, 1)
    assert rotate(database, 0) == "not settled"
    relay_all(database, kafka, 1)
    assert rotate(database, 0) in ("emptied", "empty")
    assert values(kafka.records(topic)) == ["1", "2"]


def test_a_row_of_a_transaction_that_was_open_at_the_checkpoint_stays(
    database: Database, kafka: TestKafka, topic: str, app: Connection
) -> None:
    """Its id and xid lie below the checkpoint; it commits after it."""
    with connect(database.participant_url) as slow:
        slow.execute("BEGIN")
        publish(slow, topic, "k", "slow")
        publish(app, topic, "k", "fast")
        relay_all(database, kafka, 1)
        freeze(database, 1)
        assert rotate(database, 0) == "in use"
        slow.execute("COMMIT")
    assert rotate(database, 0) == "not settled"
    relay_all(database, kafka, 1)
    assert sorted(values(kafka.records(topic))) == ["fast", "slow"]


def test_who_keeps_a_slot_is_named(database: Database, topic: str) -> None:
    with connect(database.url) as writer:
        writer.execute("BEGIN")
        publish(writer, topic, "k", "1")
        [(kind, name)] = rows(database, "SELECT kind, name FROM onceward.rotation_blockers(0::smallint)")
        assert (kind, name.split()[:2]) == ("transaction", ["pid", str(writer.info.backend_pid)])
        writer.execute("ROLLBACK")


def test_a_prepared_transaction_keeps_its_slot_and_is_named(
    own_postgres: EmbeddedPostgres, kafka: TestKafka, topic: str
) -> None:
    server = TestServer(own_postgres)
    with fresh_database(server, installed=True) as database:
        freeze(database, 0)
        with connect(database.url) as writer:
            writer.execute("BEGIN")
            publish(writer, topic, "k", "prepared")
            writer.execute("PREPARE TRANSACTION 'payment-7'")
            publish(writer, topic, "k", "1")
        relay_all(database, kafka, 1)
        freeze(database, 1)
        assert rotate(database, 0) == "in use"
        assert rows(database, "SELECT kind, name FROM onceward.rotation_blockers(0::smallint)") == [
            ("prepared transaction", "payment-7")
        ]
        with connect(database.url) as other:
            other.execute("COMMIT PREPARED 'payment-7'")
        assert rotate(database, 0) == "not settled"
        relay_all(database, kafka, 1)
    assert values(kafka.records(topic)) == ["1", "prepared"]


def test_rolled_back_rows_are_emptied(database: Database, kafka: TestKafka, topic: str, app: Connection) -> None:
    app.execute("BEGIN")
    publish(app, topic, "k", "never")
    app.execute("ROLLBACK")
    publish(app, topic, "k", "1")
    relay_all(database, kafka, 1)
    freeze(database, 1)
    assert rotate(database, 0) in ("emptied", "empty")


def test_an_older_snapshot_is_refused(database: Database) -> None:
    with connect(database.url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(psycopg.Error, match="READ COMMITTED"):
            connection.execute("SELECT onceward.rotate(0::smallint)")


def test_it_never_waits_and_an_open_window_is_not_settled(
    database: Database, kafka: TestKafka, topic: str, app: Connection
) -> None:
    publish(app, topic, "k", "1")
    relay_all(database, kafka, 1)
    freeze(database, 1)
    with connect(database.url) as dump:
        dump.execute("BEGIN; LOCK TABLE onceward.outbox IN ACCESS SHARE MODE")
        began = time.monotonic()
        assert rotate(database, 0) == "in use"
        assert time.monotonic() - began < 1
        dump.execute("COMMIT")
    rows(
        database,
        "INSERT INTO onceward.checkpoint (epoch, seq, s1, s2, last_id) SELECT epoch, seq + 1, s1, pg_current_snapshot(), 0"
        " FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1 RETURNING 1",
    )
    assert rotate(database, 0) == "not settled"


def test_it_does_not_wait_for_a_person_who_is_deciding_how_long_to_keep(database: Database, app: Connection) -> None:
    """It would wait with a lock on the slot, and whoever still writes to that would wait behind it."""
    freeze(database, 0)
    publish(app, "t", "k", "1")
    rows(database, "INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, pg_current_snapshot()) RETURNING 1")
    freeze(database, 1)
    with connect(database.url) as person, connect(database.url) as owner:
        person.execute("BEGIN")
        person.execute("SELECT onceward.keep_outbox_for(0, 'ada', 'thinking about it')")
        owner.execute("SET statement_timeout = '5s'")
        assert owner.execute("SELECT onceward.rotate(0::smallint)").fetchone() == ("in use",)
        assert owner.execute(COUNT).fetchone() == (1,)
        person.execute("ROLLBACK")
        assert owner.execute("SELECT onceward.rotate(0::smallint)").fetchone() == ("emptied",)


def test_an_empty_slot_costs_nothing(database: Database) -> None:
    """No lock that would need a transaction id, so no WAL."""
    freeze(database, 0)
    with connect(database.url) as connection:
        connection.execute("BEGIN")
        found = connection.execute("SELECT onceward.rotate(part::smallint) FROM generate_series(0, 2) part").fetchall()
        assert found == [("current",), ("empty",), ("empty",)]
        assert connection.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)


def test_nothing_is_lost_while_slots_turn_quickly(database: Database, kafka: TestKafka, topic: str) -> None:
    """Writers with short and long transactions, rollbacks and savepoints, while the slot changes ten times a second."""
    stop, sent, lock = threading.Event(), set[str](), threading.Lock()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with connect(database.participant_url) as connection:
            number = 0
            while not stop.is_set():
                mine = []
                connection.execute("BEGIN")
                for _ in range(chance.randint(1, 5)):
                    number += 1
                    publish(connection, topic, f"k{seed}", f"{seed}-{number}")
                    mine.append(f"{seed}-{number}")
                    stop.wait(chance.choice((0, 0, 0.01, 0.3)))
                if chance.random() < 0.2:
                    connection.execute("ROLLBACK")
                    continue
                connection.execute("COMMIT")
                with lock:
                    sent.update(mine)

    with relaying(database, kafka) as relay:
        writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
        for writer in writers:
            writer.start()
        turn = 0
        while relay.count("rotations_total", result="emptied") < 5 and turn < 600:
            turn += 1
            freeze(database, turn % 3)
            stop.wait(0.05)
        stop.set()
        for writer in writers:
            writer.join()
        relay.wait_settled(len(sent))
        assert relay.count("rotations_total", result="emptied") >= 5
    assert set(values(kafka.records(topic))) == sent


def test_it_works_on_every_version(postgres_of_each_version: TestServer) -> None:
    url = postgres_of_each_version.create_database(installed=True)
    with connect(url) as owner:
        publish(owner, "topic", "k", "1")
        owner.execute(
            "INSERT INTO onceward.checkpoint (epoch, seq, s1) SELECT 1, 0, pg_current_snapshot() FROM onceward.outbox"
        )
        [(slot,)] = owner.execute("SELECT slot FROM onceward.outbox").fetchall()
        owner.execute(
            f"CREATE OR REPLACE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE RETURN {(slot + 1) % 3}::smallint"
        )
        assert owner.execute("SELECT onceward.rotate(%s::smallint)", (slot,)).fetchone() == ("emptied",)
        assert owner.execute(COUNT).fetchone() == (0,)
    postgres_of_each_version.drop_database(url)


def test_status_names_who_keeps_a_slot(database: Database, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.status.look.LONG_IN_USE", 0)
    with connect(database.participant_url, application_name="forgotten") as writer:
        publish(writer, topic, "k", "x" * 10)
        writer.execute("BEGIN")
        publish(writer, topic, "k", "1")
        assert status(database)["slot_users"] == [], "the present slot is not to be emptied"
        freeze(database, 1)
        found = status(database)
        [who] = found["slot_users"]
        assert who.startswith(f"transaction pid {writer.info.backend_pid} of app ")
        assert f"the outbox grows; a slot of it is kept by {who}" in found["needs"]
        assert found["outbox_bytes"] > 8192
    assert status(database)["slot_users"] == []


def status(database: Database) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["status", "--database", database.relay_url, "--json"])
    return dict(json.loads(result.output)["sources"][0])


def test_growth_and_when_the_limit_is_reached(database: Database, kafka: TestKafka, topic: str) -> None:
    with relaying(database, kafka) as relay, connect(database.url) as owner:
        eventually(lambda: relay.count("outbox_bytes"))
        publish_many(owner, topic, 2000, size=500)
        eventually(lambda: relay.count("outbox_growth_bytes_per_second") > 1000)
        assert relay.count("outbox_full_in_seconds") == 0, "there is no limit, so there is no such series"


def test_growth_over_time() -> None:
    growth = Growth()
    growth.note(0, 1000)
    assert (growth.rate, growth.seconds_until(5000)) == (0, math.inf)
    growth.note(100, 2000)
    assert (growth.rate, growth.seconds_until(5000)) == (10, 300)
    growth.note(650, 2000)
    growth.note(700, 1400)
    assert (growth.rate, growth.seconds_until(5000)) == (-1, math.inf), "what is older than ten minutes counts no more"
    assert growth.seconds_until(1400) == 0
