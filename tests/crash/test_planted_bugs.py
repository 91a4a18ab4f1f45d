"""The checker catches bugs that are planted in the real relay, and finds nothing in the same run without the bug."""

import psycopg
import pytest

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.checker.workload import Outcome, keys
from tests.crash.scene import KILLED, OWNS, Scene

with_and_without = pytest.mark.parametrize("planted", [True, False], ids=["planted", "clean"])


def caught(scene: Scene, bug: str, kind: str, *, planted: bool) -> None:
    """Ask the checker: it finds what was planted and nothing else."""
    verdict = scene.verdict()
    assert verdict.kinds() == ({kind} if planted else set()), f"{bug}: {verdict}"


@with_and_without
@pytest.mark.parametrize("bug", ["forget_who_was_running", "read_what_has_a_greater_id"])
def test_a_transaction_that_commits_late(scene: Scene, bug: str, *, planted: bool) -> None:
    workload = scene.workload()
    relay = scene.relay(bug=bug if planted else "none")
    relay.wait_for_output(OWNS)
    with psycopg.connect(scene.url) as late:
        messages = workload.write(late, keys()[:1])
        with psycopg.connect(scene.url) as quick:
            workload.commit(quick, workload.write(quick, keys()[1:2]))
        scene.wait_for_arrival(1)
        workload.commit(late, messages)
    caught(scene, bug, "lost", planted=planted)


@with_and_without
def test_a_window_that_is_not_sorted(scene: Scene, *, planted: bool) -> None:
    """The older transaction comes second to the key: its row has the greater id and the smaller xid."""
    workload = scene.workload()
    with psycopg.connect(scene.url) as older, psycopg.connect(scene.url) as newer:
        older.execute("SELECT pg_current_xact_id()")
        workload.commit(newer, workload.write(newer, keys()[:1]))
        workload.commit(older, workload.write(older, keys()[:1]))
    scene.relay(bug="send_in_the_order_of_transactions" if planted else "none")
    caught(scene, "order", "out of order", planted=planted)


@with_and_without
def test_a_slot_that_is_emptied_without_proof(scene: Scene, *, planted: bool) -> None:
    workload = scene.workload()
    workload.write_many(100)
    if planted:
        with psycopg.connect(scene.url) as connection:
            connection.execute("TRUNCATE ONLY onceward.outbox_0, ONLY onceward.outbox_1, ONLY onceward.outbox_2")
    scene.relay().wait_for_output(OWNS)
    caught(scene, "truncation", "lost", planted=planted)


@with_and_without
def test_a_window_that_is_taken_anew_after_a_crash(scene: Scene, *, planted: bool) -> None:
    """A transaction with small ids commits while the relay is dead inside an open window."""
    workload = scene.workload()
    with psycopg.connect(scene.url) as late:
        late.execute("INSERT INTO account VALUES ('late')")
        messages = workload.write(late, ["late"])
        workload.write_many(12_000)
        assert scene.relay(failpoint="relay.window_opened").wait() == KILLED
        assert scene.window_open()
        workload.commit(late, messages)
    scene.relay(bug="take_the_window_anew" if planted else "none")
    caught(scene, "S2", "lost", planted=planted)


@with_and_without
def test_a_message_that_is_sent_before_it_is_durable(
    fragile_database: Scene,
    own_postgres: EmbeddedPostgres,
    *,
    planted: bool,
) -> None:
    scene = fragile_database
    workload = scene.workload()
    with psycopg.connect(scene.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        admin.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
        admin.execute("SELECT pg_reload_conf()")
    relay = scene.relay(bug="send_what_is_not_durable" if planted else "none")
    relay.wait_for_output(OWNS)
    with psycopg.connect(scene.url) as connection:
        connection.execute("SET synchronous_commit = off")
        workload.commit(connection, workload.write(connection, keys()[:3]))
    scene.wait_for_arrival(3)
    own_postgres.kill()
    relay.kill()
    own_postgres.start()
    with psycopg.connect(scene.url) as connection:
        kept = {str(row[0]) for row in connection.execute("SELECT message_id FROM onceward.outbox")}
    for message in scene.log.sent:
        message.outcome = Outcome.COMMITTED if message.message_id in kept else Outcome.ROLLED_BACK
    scene.relay("second")
    caught(scene, "flush gate", "phantom", planted=planted)
