"""Three brokers that restart, die, freeze and refuse under load. Each run ends with the checker."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from onceward_relay.cluster import Cluster
from onceward_relay.kafka import ClientError
from tests.checker.workload import Log
from tests.conftest import Database, available
from tests.crash.scene import Scene
from tests.servers.kafka import TestKafka
from tests.servers.kafka_cluster import KafkaCluster, kafka_cluster
from tests.support import Process, eventually

pytestmark = pytest.mark.timeout(600)
LONG = 180.0
"""Seconds within which a cluster must be itself again."""
STALLED = 'stall_timeout = 5\nlog_format = "json"'


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with available(kafka_cluster()) as running:
        yield running


@pytest.fixture
def scene(database: Database, cluster: KafkaCluster, tmp_path: Path) -> Iterator[Scene]:
    """A scene on a topic of three replicas, of which two must have a message."""
    with ExitStack() as stack:
        log = Log(tmp_path / "log.jsonl")
        stack.callback(log.close)
        kafka = TestKafka(cluster)
        topic = kafka.create_replicated_topic([[1, 2, 3], [2, 3, 1], [3, 1, 2]], min_insync_replicas="2")
        yield Scene(database.url, kafka, topic, log, tmp_path, stack, relay_toml=STALLED)


def in_sync(cluster: KafkaCluster, topic: str) -> int:
    """How many replicas the partition has that has the fewest; 0 if nobody can tell just now."""
    asked = Cluster({"bootstrap.servers": cluster.bootstrap}, logging.getLogger("tests"), lambda: None)
    try:
        return asked.replicas([topic])[topic].in_sync
    except ClientError:
        return 0


def loaded(scene: Scene) -> tuple[Process, Process]:
    """Start a relay and a reader, and wait until messages flow from one end to the other."""
    relay, reader = scene.relay(), scene.reader()
    eventually(lambda: scene.taken().total() > 50, LONG, lambda: relay.output + reader.output)
    return relay, reader


def test_brokers_are_restarted_one_after_the_other(scene: Scene, cluster: KafkaCluster) -> None:
    """Two in order, as in an upgrade, and one is killed."""
    workload = scene.workload()
    workload.start(writers=2)
    relay, reader = loaded(scene)
    for number, broker in cluster.brokers.items():
        broker.kill() if number == 3 else broker.stop()
        workload.wait_for(30)
        broker.start(LONG)
        eventually(lambda: in_sync(cluster, scene.topic) == 3, LONG)
    workload.stop()
    scene.check()
    scene.check_taken(LONG)
    assert (relay.terminate(), reader.terminate()) == (0, 0)


def test_too_few_replicas_are_in_sync(scene: Scene, cluster: KafkaCluster) -> None:
    """Nothing is acknowledged that one disk alone has: the relay waits, loses its patience again and again, and goes on."""
    scene.topic = scene.kafka.create_replicated_topic([[1, 2]] * 3, min_insync_replicas="2")
    workload = scene.workload()
    workload.start(writers=2)
    relay, reader = loaded(scene)
    cluster.brokers[2].kill()
    eventually(lambda: in_sync(cluster, scene.topic) == 1, LONG)
    settled = len(scene.arrived())
    relay.wait_for_output("no answer from Kafka", LONG)
    assert len({each.message_id for each in scene.arrived()}) <= settled, "acknowledged by one replica alone"
    workload.wait_for(30)
    cluster.brokers[2].start(LONG)
    workload.stop()
    scene.check()
    scene.check_taken(LONG)
    assert (relay.terminate(), reader.terminate()) == (0, 0)


def test_answers_come_later_than_anybody_waits(scene: Scene, cluster: KafkaCluster) -> None:
    """The cluster freezes with messages in its sockets, and takes them once it thaws; the relay has sent them again."""
    workload = scene.workload()
    workload.start(writers=2)
    relay, reader = loaded(scene)
    for broker in cluster.brokers.values():
        broker.suspend()
    try:
        relay.wait_for_output("no answer from Kafka", LONG)
    finally:
        for broker in cluster.brokers.values():
            broker.resume()
    workload.wait_for(30)
    workload.stop()
    scene.check()
    scene.check_taken(LONG)
    assert (relay.terminate(), reader.terminate()) == (0, 0)


def test_the_producer_ends_with_a_fatal_error(scene: Scene) -> None:
    """Whole batches are refused by a limit that was lowered: the client must not go on, and another one does."""
    workload = scene.workload()
    workload.start(writers=2)
    relay, reader = loaded(scene)
    scene.kafka.configure(scene.topic, max_message_bytes="1000")
    workload.write_many(400)
    relay.wait_for_output("Kafka refused something", LONG)
    workload.stop()
    scene.check()
    scene.check_taken(LONG)
    with psycopg.connect(scene.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.held_message").fetchone() == (0,), "all were innocent"
    assert (relay.terminate(), reader.terminate()) == (0, 0)
