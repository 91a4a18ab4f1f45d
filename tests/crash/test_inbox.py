"""Relay and consumer killed again and again: each committed message takes effect once."""

import random
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.checker.checker import check_effects
from tests.crash.scene import DRAINED_WITHIN, Scene
from tests.support import Process, eventually


def reader(scene: Scene) -> Process:
    arguments = ["-m", "tests.crash.reader", scene.url, scene.kafka.bootstrap, scene.topic]
    return scene.stack.enter_context(Process(arguments, {"PYTHONPATH": str(Path(__file__).parents[2])}))


def taken(scene: Scene) -> Counter[str]:
    with psycopg.connect(scene.url) as connection:
        return Counter(row[0] for row in connection.execute("SELECT message_id FROM taken"))


def wait_for(scene: Scene, count: int) -> None:
    eventually(lambda: taken(scene).total() >= count, DRAINED_WITHIN)


@pytest.mark.timeout(180)
def test_relay_and_consumer_are_killed_under_load(scene: Scene) -> None:
    chance = random.Random(11)
    with psycopg.connect(scene.url) as connection:
        connection.execute("CREATE TABLE taken (message_id text)")
    workload = scene.workload()
    workload.start()
    relay, consumer = scene.relay(), reader(scene)
    for _ in range(5):
        wait_for(scene, taken(scene).total() + 20)
        if chance.random() < 0.5:
            relay.kill()
            relay = scene.relay()
        consumer.kill()
        consumer = reader(scene)
    workload.stop()
    scene.check()
    arrived = scene.arrived()
    eventually(
        lambda: check_effects(scene.log.sent, arrived, taken(scene)),
        DRAINED_WITHIN,
        lambda: check_effects(scene.log.sent, arrived, taken(scene)),
    )
    assert relay.terminate() == 0
    assert consumer.terminate() == 0
