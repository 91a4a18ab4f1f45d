"""Relay and consumer killed again and again: each committed message takes effect once."""

import random

import pytest

from tests.crash.scene import DRAINED_WITHIN, Scene
from tests.support import eventually


def wait_for(scene: Scene, count: int) -> None:
    eventually(lambda: scene.taken().total() >= count, DRAINED_WITHIN)


@pytest.mark.timeout(180)
def test_relay_and_consumer_are_killed_under_load(scene: Scene) -> None:
    chance = random.Random(11)
    workload = scene.workload()
    workload.start()
    relay, consumer = scene.relay(), scene.reader()
    for _ in range(5):
        wait_for(scene, scene.taken().total() + 20)
        if chance.random() < 0.5:
            relay.kill()
            relay = scene.relay()
        consumer.kill()
        consumer = scene.reader()
    workload.stop()
    scene.check()
    scene.check_taken()
    assert relay.terminate() == 0
    assert consumer.terminate() == 0
