"""Nothing is lost, whatever the order in which transactions end. Each test is one interleaving."""

import random
import time
from uuid import uuid4

import pytest

from onceward_relay.outbox import PAGE_ROWS, Outbox, Probe, Wait
from onceward_relay.position import Snapshot, Window
from onceward_relay.stream import STAY
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import by_key, connect, publish, publish_many, relaying, rows, values


def test_commits_out_of_id_order(database: Database, kafka: TestKafka) -> None:
    """The first writer commits last: its id is below what was sent already."""
    topic = kafka.create_topic()
    with (
        connect(database.participant_url) as early,
        connect(database.participant_url) as late,
        relaying(database, kafka) as relay,
    ):
        early.execute("BEGIN")
        publish(early, topic, "early", "1")
        publish(late, topic, "late", "2")
        relay.wait_settled(1)
        assert values(kafka.records(topic)) == ["2"]
        early.execute("COMMIT")
        relay.wait_settled(2)
    assert sorted(values(kafka.records(topic))) == ["1", "2"]


def test_a_transaction_that_stays_open_delays_nobody(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with (
        connect(database.participant_url) as slow,
        connect(database.participant_url) as app,
        relaying(database, kafka) as relay,
    ):
        slow.execute("BEGIN")
        publish(slow, topic, "slow", "last")
        for number in range(20):
            publish(app, topic, "k", str(number))
            relay.wait_settled(number + 1)
        slow.execute("COMMIT")
        relay.wait_settled(21)
    assert by_key(kafka.records(topic)) == {b"k": [str(n) for n in range(20)], b"slow": ["last"]}


def test_a_transaction_open_across_a_restart_of_the_relay(database: Database, kafka: TestKafka) -> None:
    """The running transactions of the checkpoint's snapshot are what brings it back."""
    topic = kafka.create_topic()
    with connect(database.participant_url) as slow, connect(database.participant_url) as app:
        slow.execute("BEGIN")
        publish(slow, topic, "slow", "late")
        publish(app, topic, "k", "1")
        with relaying(database, kafka) as relay:
            relay.wait_settled(1)
        publish(app, topic, "k", "2")
        slow.execute("COMMIT")
        with relaying(database, kafka) as relay:
            relay.wait_settled(2)
    assert by_key(kafka.records(topic)) == {b"k": ["1", "2"], b"slow": ["late"]}


def test_a_prepared_transaction_comes_after_commit_prepared(database: Database, kafka: TestKafka) -> None:
    topic, name = kafka.create_topic(), f"test-{uuid4()}"
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        app.execute("BEGIN")
        publish(app, topic, "prepared", "1")
        app.execute(f"PREPARE TRANSACTION '{name}'")
        publish(app, topic, "k", "2")
        relay.wait_settled(1)
        assert values(kafka.records(topic)) == ["2"]
        app.execute(f"COMMIT PREPARED '{name}'")
        relay.wait_settled(2)
    assert sorted(values(kafka.records(topic))) == ["1", "2"]


def test_rollbacks_and_savepoints_invent_nothing(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        app.execute("BEGIN")
        publish(app, topic, "k", "rolled back")
        app.execute("ROLLBACK")
        app.execute("BEGIN")
        publish(app, topic, "k", "before")
        app.execute("SAVEPOINT s")
        publish(app, topic, "k", "undone")
        app.execute("ROLLBACK TO SAVEPOINT s")
        app.execute("SAVEPOINT t")
        publish(app, topic, "k", "inside")
        app.execute("RELEASE SAVEPOINT t")
        publish(app, topic, "k", "after")
        app.execute("COMMIT")
        publish(app, topic, "k", "end")
        relay.wait_settled(4)
    assert values(kafka.records(topic)) == ["before", "inside", "after", "end"]


def test_late_and_new_rows_of_a_window_are_merged_by_id(database: Database, kafka: TestKafka) -> None:
    """A late transaction and a newer one that lock the same business row: the late one's ids are lower."""
    topic = kafka.create_topic(partitions=1)
    with (
        connect(database.participant_url) as first,
        connect(database.participant_url) as second,
        connect(database.participant_url) as other,
    ):
        first.execute("BEGIN")
        publish(first, topic, "k", "1")
        publish(other, topic, "other", "x")
        with relaying(database, kafka) as relay:
            relay.wait_settled(1)
        first.execute("COMMIT")
        publish(second, topic, "k", "2")
        with relaying(database, kafka) as relay:
            relay.wait_settled(2)
    assert by_key(kafka.records(topic))[b"k"] == ["1", "2"]


def test_a_backlog_larger_than_a_page_is_an_open_window(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    count = 2 * PAGE_ROWS + 777
    with connect(database.url) as owner:
        publish_many(owner, topic, count)
        with relaying(database, kafka) as relay:
            relay.wait_settled(count)
            assert relay.count("windows_total", kind="opened") == 1
            publish_many(owner, topic, 10, first=count)
            relay.wait_settled(count + 10)
    found = by_key(kafka.records(topic))
    assert sum(map(len, found.values())) == count + 10
    assert all(numbers == sorted(numbers, key=int) for numbers in found.values())
    assert rows(database, "SELECT count(*) FROM onceward.checkpoint WHERE s2 IS NOT NULL")[0][0] >= 1


def test_rows_that_commit_while_a_window_is_open_wait_for_the_next(database: Database, kafka: TestKafka) -> None:
    """Their ids lie inside the open window; S2 is frozen, so they belong to the next."""
    topic = kafka.create_topic()
    with connect(database.url) as slow, connect(database.url) as owner:
        publish_many(owner, topic, 3000)
        slow.execute("BEGIN")
        publish(slow, topic, "slow", "inside")
        publish_many(owner, topic, 5000, first=3000)
        with relaying(database, kafka) as relay:
            relay.wait_settled(8000)
            slow.execute("COMMIT")
            relay.wait_settled(8001)
    assert by_key(kafka.records(topic))[b"slow"] == ["inside"]


def test_large_payloads_make_smaller_pages(database: Database, kafka: TestKafka) -> None:
    """A page is bounded by bytes as well: rows of 4 MB among small ones, in order."""
    topic = kafka.create_topic(partitions=1, max_message_bytes="20000000")
    with connect(database.url) as owner:
        for number in range(40):
            size = 4_000_000 if number % 7 == 3 else 10
            publish_many(owner, topic, 1, first=number, keys=1, size=size)
    with relaying(database, kafka) as relay:
        relay.wait_settled(40)
        assert relay.count("windows_total", kind="opened") == 1
    assert values(kafka.records(topic)) == [str(number) for number in range(40)]


def test_the_largest_payload(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, max_message_bytes="20000000")
    with connect(database.participant_url) as app:
        publish(app, topic, "k", b"x" * 16_777_216)
        publish(app, topic, "k", b"y" * 16_777_216)
    with relaying(database, kafka) as relay:
        relay.wait_settled(2)
    assert [len(record.value() or b"") for record in kafka.records(topic)] == [16_777_216] * 2


def test_an_idle_relay_writes_nothing(database: Database, kafka: TestKafka) -> None:
    """No WAL and no transaction id, and no snapshot held."""
    topic = kafka.create_topic()
    with connect(database.participant_url) as app, connect(database.url) as eye, relaying(database, kafka) as relay:
        publish(app, topic, "k", "1")
        relay.wait_settled(1)
        checkpoints = eventually(lambda: relay.count("checkpoints_total"))

        def sight() -> tuple[str, str]:
            row = eye.execute("SELECT pg_current_wal_insert_lsn()::text, pg_current_snapshot()::text").fetchone()
            assert row is not None
            return row[0], row[1]

        def quiet_for_a_while() -> bool:
            """One undisturbed look is proof: a relay that wrote anything would show in every one of them."""
            before, beats = sight(), relay.state.beat_at
            eventually(lambda: relay.state.beat_at > beats + 2.5)
            return sight() == before

        eventually(quiet_for_a_while)
        assert relay.count("checkpoints_total") == checkpoints
        [(xid, behind)] = eye.execute(
            "SELECT backend_xid, coalesce(age(backend_xmin), 0) FROM pg_stat_activity"
            " WHERE application_name LIKE 'onceward-relay%' AND datname = current_database()"
        ).fetchall()
        assert (xid, behind) == (None, 0)


def test_a_waiting_relay_holds_no_snapshot_back(database: Database, kafka: TestKafka) -> None:
    """It waits with a snapshot, but for the next transaction: nothing can be vacuumed less because of it."""
    held_back = (
        "SELECT max(age(backend_xmin)) FROM pg_stat_activity"
        " WHERE application_name LIKE 'onceward-relay%%' AND datname = current_database()"
    )
    with connect(database.url) as other, relaying(database, kafka) as relay:
        relay.wait_owner()
        for _ in range(20):
            other.execute("SELECT pg_current_xact_id()")
            eventually(lambda: rows(database, held_back)[0][0] in (None, 0), timeout=1)


def test_an_idle_relay_looks_no_more_often_than_it_is_told(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows come it looks again at once; when none do, the next look is the schedule's."""
    looks: list[float] = []
    probe = Outbox.probe

    def counted(self: Outbox, since: Snapshot, wait: Wait) -> Probe:
        looks.append(time.monotonic())
        return probe(self, since, wait)

    monkeypatch.setattr(Outbox, "probe", counted)
    topic = kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka, poll_interval=0.2) as relay:
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + STAY + 2.5)
        idle = [moment for moment in looks if moment > began + STAY + 0.5]
        assert 5 <= len(idle) <= 11, "2 s at 5 looks a second"


def test_transactions_without_messages_move_the_position_in_memory_only(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        relay.wait_owner()
        written = rows(database, "SELECT count(*) FROM onceward.checkpoint")
        for _ in range(50):
            owner.execute("SELECT pg_current_xact_id()")
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
        eventually(lambda: relay.count("checkpoints_total") == 1)
        assert rows(database, "SELECT count(*) FROM onceward.checkpoint")[0][0] == written[0][0] + 1


@pytest.mark.parametrize("seed", range(20))
def test_the_window_is_the_difference_of_visibility(database: Database, seed: int) -> None:
    """The condition on xid that an index can serve gives exactly what PostgreSQL's own visibility test gives."""
    chance = random.Random(seed)
    before = _snapshot(chance, 100, 120)
    after = _later(chance, before)
    condition = Window(before, after).condition()
    [(wrong,)] = rows(
        database,
        f"""SELECT array_agg(xid) FROM (SELECT n::text::xid8 AS xid FROM generate_series(90, 160) n) x
             WHERE ({condition}) IS DISTINCT FROM
                   (pg_visible_in_snapshot(xid, '{after.text}') AND NOT pg_visible_in_snapshot(xid, '{before.text}'))""",
    )
    assert wrong is None, (before.text, after.text, condition)


def _snapshot(chance: random.Random, low: int, high: int) -> Snapshot:
    xmax = chance.randint(low + 1, high)
    running = sorted(chance.sample(range(low, xmax), chance.randint(0, min(6, xmax - low))))
    return Snapshot.parse(f"{running[0] if running else xmax}:{xmax}:{','.join(map(str, running))}")


def _later(chance: random.Random, before: Snapshot) -> Snapshot:
    """Return a snapshot that can follow: what was visible stays so."""
    still = {xid for xid in before.running if chance.random() < 0.5}
    xmax = before.xmax + chance.randint(0, 30)
    new = set(chance.sample(range(before.xmax, xmax), chance.randint(0, min(5, xmax - before.xmax))))
    running = sorted(still | new)
    return Snapshot.parse(f"{running[0] if running else xmax}:{xmax}:{','.join(map(str, running))}")
