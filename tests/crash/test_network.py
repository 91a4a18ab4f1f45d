"""What networks do: replies that are lost, sessions that end, and wires that carry nothing, or one way only."""

from collections.abc import Iterator

import psycopg
import pytest

from onceward_relay.embedded.postgres import free_port
from tests.checker.workload import Outcome, keys
from tests.conftest import Database, available
from tests.crash.conftest import scene_of
from tests.crash.scene import OWNS, Scene
from tests.servers.kafka import KafkaServer, TestKafka
from tests.servers.proxy import Direction, Proxy, proxy
from tests.support import eventually

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def wire(scene: Scene) -> Iterator[Proxy]:
    """The way to the scene's database."""
    with proxy(*scene.address) as running:
        yield running


def test_a_participants_commit_whose_reply_is_lost(scene: Scene, wire: Proxy) -> None:
    """It has committed, and nobody told its writer: the message is sent all the same."""
    workload = scene.workload()
    with psycopg.connect(scene.through(wire.port)) as connection:
        messages = workload.write(connection, keys()[:2])
        wire.lose_reply_to(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            workload.commit(connection, messages)
    assert wire.lost == 1
    assert {message.outcome for message in messages} == {Outcome.UNKNOWN}
    scene.relay()
    scene.check()
    assert {message.outcome for message in messages} == {Outcome.COMMITTED}


FENCE, CHECKPOINT = b"COMMIT", b"INSERT INTO onceward.checkpoint"


@pytest.mark.parametrize(("statement", "before"), [(FENCE, 0), (CHECKPOINT, 1)], ids=["the fence", "a checkpoint"])
def test_a_relays_commit_whose_reply_is_lost(scene: Scene, wire: Proxy, statement: bytes, before: int) -> None:
    """The relay knows neither whether it owns the source, nor whether its checkpoint is written; it begins anew."""
    workload = scene.workload()
    workload.start(2)
    wire.lose_reply_to(statement, passes=before)
    relay = scene.relay(database=wire.port)
    eventually(lambda: wire.lost)
    workload.wait_for(50)
    workload.stop()
    scene.check()
    assert relay.running


def test_a_consumers_commit_whose_reply_is_lost(scene: Scene, wire: Proxy) -> None:
    """It takes the message again, finds that it was taken, and does nothing."""
    workload = scene.workload()
    scene.relay()
    wire.lose_reply_to(b"COMMIT")
    scene.reader(database=wire.port)
    with psycopg.connect(scene.url) as connection:
        for _ in range(5):
            workload.commit(connection, workload.write(connection, keys()[:3]))
    eventually(lambda: wire.lost)
    scene.check()
    scene.check_taken()


@pytest.mark.long
def test_every_session_is_terminated_again_and_again(scene: Scene) -> None:
    """By pg_terminate_backend: of the relay, of the consumer, and of the writers."""
    workload = scene.workload()
    workload.start()
    relay, reader = scene.relay(), scene.reader()
    relay.wait_for_output(OWNS)
    for _ in range(4):
        workload.wait_for(30)
        with psycopg.connect(scene.url) as admin:
            admin.execute(TERMINATE)
    workload.stop()
    scene.check()
    scene.check_taken()
    assert relay.running
    assert reader.running


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("direction", ["both", "to client"])
def test_a_relay_that_is_cut_off_from_its_database_is_replaced(scene: Scene, wire: Proxy, direction: Direction) -> None:
    """It still reaches Kafka. Another takes over when the server has ended its session, and it writes nothing more."""
    workload = scene.workload()
    first = scene.relay("first", database=wire.port)
    first.wait_for_output(OWNS)
    workload.start(2)
    workload.wait_for(50)
    wire.freeze(direction)
    second = scene.relay("second")
    second.wait_for_output(OWNS)
    workload.wait_for(50)
    wire.thaw()
    workload.wait_for(50)
    workload.stop()
    scene.check()
    assert first.running
    assert owners(scene)[-1] == "second"


def owners(scene: Scene) -> list[str]:
    with psycopg.connect(scene.url) as connection:
        return [row[0] for row in connection.execute("SELECT relay FROM onceward.ownership ORDER BY epoch")]


@pytest.fixture
def cut_off_broker(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Proxy]]:
    """A scene, and the wire to its broker: at a door of its own the broker tells clients to come back through the wire."""
    door = free_port()
    with proxy("127.0.0.1", door) as wire:
        doors = {
            "listeners": f"CONTROLLER://127.0.0.1:{{controller}},PLAINTEXT://127.0.0.1:{{port}},DOOR://127.0.0.1:{door}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},DOOR://127.0.0.1:{wire.port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:PLAINTEXT",
        }
        with available(KafkaServer(doors)) as broker:
            folder = tmp_path_factory.mktemp("cut-off")
            for scene in scene_of(database.url, TestKafka(broker), folder):
                scene.kafka_toml = f'[kafka]\n"bootstrap.servers" = "127.0.0.1:{wire.port}"\n'
                yield scene, wire


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_relay_that_is_cut_off_from_kafka(cut_off_broker: tuple[Scene, Proxy]) -> None:
    """One way after the other, and both: what was sent may have arrived, and no report of it comes."""
    scene, wire = cut_off_broker
    workload = scene.workload()
    relay = scene.relay()
    relay.wait_for_output(OWNS)
    workload.start(2)
    directions: tuple[Direction, ...] = "to client", "to server", "both"
    for direction in directions:
        workload.wait_for(50)
        wire.freeze(direction)
        workload.wait_for(100)
        wire.thaw()
    workload.wait_for(20)
    wire.drop()
    workload.wait_for(20)
    workload.stop()
    scene.check()
    assert relay.running
