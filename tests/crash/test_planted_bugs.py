"""The checker catches bugs that are planted in the real programs, and finds nothing in the same run without the bug."""

import psycopg
import pytest

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.checker.checker import Verdict, check_calls, check_effects
from tests.checker.planted import PAGE_SENT
from tests.checker.workload import Outcome, keys
from tests.crash.scene import KILLED, OWNS, Scene
from tests.crash.shop import Shop
from tests.servers.kafka import KafkaServer
from tests.support import eventually

SETTLED_OR_LEFT = """
SELECT FROM onceward.call WHERE state IN ('succeeded', 'failed') OR state = 'in_doubt' AND due_at IS NULL
"""

with_and_without = pytest.mark.parametrize("planted", [True, False], ids=["planted", "clean"])


def caught(scene: Scene, bug: str, kind: str, *, planted: bool) -> None:
    """Ask the checker: it finds what was planted and nothing else."""
    judged(scene.verdict(), bug, kind, planted=planted)


def judged(verdict: Verdict, bug: str, kind: str, *, planted: bool) -> None:
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


@with_and_without
def test_a_checkpoint_before_the_acknowledgement(
    fragile_broker: Scene, own_kafka: KafkaServer, *, planted: bool
) -> None:
    """The relay dies while the broker has not taken what it was sent."""
    scene, bug = fragile_broker, "settle_what_is_only_sent"
    workload = scene.workload()
    relay = scene.relay(bug=bug if planted else "none")
    with psycopg.connect(scene.url) as connection:
        workload.commit(connection, workload.write(connection, keys()[:3]))  # a producer's first rows are waited for
        scene.wait_for_arrival(3)
        eventually(scene.drained)
        own_kafka.suspend()
        sent = relay.output.count(PAGE_SENT)
        workload.commit(connection, workload.write(connection, keys()[:3]))
    eventually(lambda: relay.output.count(PAGE_SENT) > sent)
    if planted:
        eventually(scene.drained)
    relay.kill()
    own_kafka.resume()
    scene.relay("second")
    caught(scene, bug, "lost", planted=planted)


@with_and_without
def test_an_inbox_that_forgets(scene: Scene, *, planted: bool) -> None:
    """The consumer dies after its commit and before the offset's, and takes the message again."""
    bug = "forget_what_was_taken"
    workload = scene.workload()
    scene.relay()
    with psycopg.connect(scene.url) as connection:
        first = workload.write(connection, keys()[:1])
        workload.commit(connection, first)
        assert scene.reader(failpoint="consumer.committed", bug=bug if planted else "none").wait() == KILLED
        second = workload.write(connection, keys()[:1])  # of the same key, and so behind the first
        workload.commit(connection, second)
    scene.reader(bug=bug if planted else "none")
    eventually(lambda: scene.taken()[second[0].message_id])
    assert scene.taken()[first[0].message_id]
    verdict = check_effects(scene.log.sent, scene.arrived(), scene.taken())
    judged(verdict, bug, "taken twice", planted=planted)


@with_and_without
@pytest.mark.parametrize(
    ("bug", "kind"), [("send_again_without_proof", "paid twice"), ("take_an_error_for_a_refusal", "wrong outcome")]
)
def test_a_ledger_that_guesses(shop: Shop, bug: str, kind: str, *, planted: bool) -> None:
    """The bank pays, says 500, and offers neither keys nor lookups: only a person can find out."""
    shop.order("guessed", "gateway-credits")
    shop.bank.next("error_after")
    with shop.worker(bug=bug if planted else "none") as worker:
        eventually(lambda: shop.rows(SETTLED_OR_LEFT), describe=lambda: worker.output)
        assert worker.terminate() == 0
    verdict = check_calls(shop.effects(), shop.calls(), {"guessed"})
    assert verdict.kinds() == ({kind, "settled without proof"} if planted else set()), f"{bug}: {verdict}"
    assert planted or shop.calls() == {"guessed": "in_doubt"}
