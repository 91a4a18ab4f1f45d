"""The relay as a process, killed and frozen, with its servers killed under it. Each run ends with the checker."""

import random

import psycopg
import pytest

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.checker.workload import Outcome, keys, resolve
from tests.crash.scene import KILLED, OWNS, Scene
from tests.servers.kafka import KafkaServer


@pytest.mark.parametrize("failpoint", ["relay.acknowledged:2", "relay.checkpointed:2"])
def test_killed_under_load(scene: Scene, failpoint: str) -> None:
    workload = scene.workload()
    workload.start()
    relay = scene.relay(failpoint=failpoint)
    assert relay.wait() == KILLED
    scene.relay()
    workload.wait_for(200)
    workload.stop()
    scene.check()


@pytest.mark.long
@pytest.mark.parametrize(
    "failpoint", ["relay.window_opened", "relay.acknowledged", "relay.acknowledged:2", "relay.checkpointed:2"]
)
def test_killed_inside_an_open_window(scene: Scene, failpoint: str) -> None:
    """More rows than all pages under way together: a new owner goes on in the window while new rows come."""
    workload = scene.workload()
    workload.write_many(30_000)
    relay = scene.relay(failpoint=failpoint)
    assert relay.wait() == KILLED
    assert scene.window_open()
    workload.write_many(100)
    scene.relay()
    scene.check()


@pytest.mark.long
def test_killed_again_and_again(scene: Scene) -> None:
    chance = random.Random(7)
    workload = scene.workload()
    workload.start()
    for _ in range(6):
        relay = scene.relay()
        relay.wait_for_output(OWNS)
        workload.wait_for(chance.randint(20, 200))
        relay.kill()
    scene.relay()
    workload.stop()
    scene.check()


def test_transactions_that_stay_open(scene: Scene) -> None:
    """One is open throughout, one is prepared: neither holds others back, and both arrive once they have committed."""
    workload = scene.workload()
    with psycopg.connect(scene.url) as slow, psycopg.connect(scene.url) as prepared:
        late = workload.write(slow, [keys()[-1]])
        in_two_steps = workload.write(prepared, [keys()[-2]])
        prepared.execute("PREPARE TRANSACTION 'in two steps'")
        prepared.commit()
        scene.relay()
        for _ in range(5):
            with psycopg.connect(scene.url) as quick:
                workload.commit(quick, workload.write(quick, keys()[:5]))
        scene.check()
        assert not {each.message_id for each in late + in_two_steps} & {each.message_id for each in scene.arrived()}
        scene.log.about_to_end(in_two_steps)
        with psycopg.connect(scene.url, autocommit=True) as anybody:
            anybody.execute("COMMIT PREPARED 'in two steps'")
        scene.log.ended(in_two_steps, Outcome.COMMITTED)
        workload.commit(slow, late)
    scene.check()


def test_an_asynchronous_commit_that_a_crash_takes_back_was_never_sent(
    fragile_database: Scene, own_postgres: EmbeddedPostgres
) -> None:
    scene = fragile_database
    workload = scene.workload()
    with psycopg.connect(scene.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        admin.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
        admin.execute("SELECT pg_reload_conf()")
    relay = scene.relay()
    relay.wait_for_output(OWNS)
    for _ in range(50):
        with psycopg.connect(scene.url) as connection:
            connection.execute("SET synchronous_commit = off")
            messages = workload.write(connection, keys()[:3])
            scene.log.about_to_end(messages)  # and nobody can say whether it stays
            connection.commit()
    own_postgres.kill()
    relay.kill()
    own_postgres.start()
    there = {each.message_id for each in scene.arrived()}
    resolve(scene.url, scene.log.sent)
    kept = {message.message_id for message in scene.log.sent if message.outcome is Outcome.COMMITTED}
    assert there <= kept, "a message was sent whose transaction is gone"
    scene.relay("second")
    scene.check()


@pytest.mark.timeout(180)
def test_an_owner_that_is_frozen_past_its_lease_writes_nothing_more(scene: Scene) -> None:
    workload = scene.workload()
    first = scene.relay("first")
    first.wait_for_output(OWNS)
    second = scene.relay("second")
    second.wait_for_output("relay started")
    workload.start()
    workload.wait_for(50)
    first.suspend()
    second.wait_for_output(OWNS, timeout=40)
    epochs = epochs_of(scene.url)
    workload.wait_for(50)
    first.resume()
    workload.wait_for(200)
    workload.stop()
    scene.check()
    assert epochs_of(scene.url) == epochs, "the frozen one has not taken the source back"
    assert written_by_old_epochs(scene.url) == 0
    assert second.terminate() == 0
    first.wait_for_output("taken over", timeout=40)


def epochs_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT relay FROM onceward.ownership ORDER BY epoch")]


def written_by_old_epochs(url: str) -> int:
    """How many checkpoints an owner wrote after the next had taken over."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM onceward.checkpoint c JOIN onceward.ownership o ON o.epoch = c.epoch + 1"
            " WHERE c.written_at > o.acquired_at"
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.long
@pytest.mark.timeout(180)
def test_the_broker_is_killed_and_comes_back(fragile_broker: Scene, own_kafka: KafkaServer) -> None:
    scene = fragile_broker
    workload = scene.workload()
    workload.start()
    relay = scene.relay()
    workload.wait_for(200)
    own_kafka.kill()
    workload.wait_for(500)
    own_kafka.start()
    workload.stop()
    scene.check()
    assert relay.running


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["immediate", "kill", "fast"])
def test_postgresql_goes_away_and_comes_back(fragile_database: Scene, own_postgres: EmbeddedPostgres, how: str) -> None:
    scene = fragile_database
    workload = scene.workload()
    workload.start()
    relay = scene.relay()
    for _ in range(2):
        workload.wait_for(200)
        own_postgres.kill() if how == "kill" else own_postgres.stop("immediate" if how == "immediate" else "fast")
        own_postgres.start()
    workload.wait_for(100)
    workload.stop()
    scene.check()
    assert relay.running
