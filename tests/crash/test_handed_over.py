"""An exactly-once source goes from one instance to another: nothing is lost or twice to a reader of committed messages."""

import json
import os
import signal
from dataclasses import replace

import pytest

from onceward_relay.shares import ranking
from tests.crash.scene import KILLED, OWNS, Scene
from tests.support import Process, eventually

from .test_exactly_once import AGAIN, COMMITTED, check, end_silent_sessions, rows_of

INSTANCES = ("a", "b")
CLAIMS = "was asked to let go"
LETS_GO = "let go for a relay that comes before this one"


@pytest.fixture
def shared(once: Scene) -> Scene:
    """A scene whose relays are instances that share the source."""
    return replace(once, relay_toml=f"instances = {json.dumps(INSTANCES)}")


def alone(scene: Scene, name: str, failpoint: str = "") -> Process:
    """Start a relay that shares with nobody, and so takes the source at once."""
    return replace(scene, relay_toml="").relay(name, failpoint=failpoint)


def share(scene: Scene, relay: Process, name: str) -> None:
    """Let a relay share the source from now on; one that is frozen, once it goes on."""
    scene.configure(name)
    os.kill(relay.pid, signal.SIGHUP)


def owners(scene: Scene) -> list[str]:
    return [relay for (relay,) in rows_of(scene.url, "SELECT relay FROM onceward.ownership ORDER BY epoch")]


@pytest.mark.timeout(180)
def test_it_goes_to_the_one_that_comes_first_and_back_when_that_dies(shared: Scene) -> None:
    """The one that has it at first learns by SIGHUP that it shares it."""
    first, second = ranking(shared.source, INSTANCES)
    workload = shared.workload()
    workload.start()
    stays = alone(shared, second)
    stays.wait_for_output(OWNS)
    share(shared, stays, second)
    dies = shared.relay(first, failpoint="relay.planned:10")
    assert dies.wait(60) == KILLED
    assert OWNS in dies.output
    eventually(lambda: stays.output.count(OWNS) == 2)
    stays.wait_for_output(AGAIN)
    comes_back = shared.relay(first)
    comes_back.wait_for_output(OWNS)
    workload.wait_for(50)
    workload.stop()
    check(shared)
    assert owners(shared) == [second, first, second, first]
    assert stays.output.count(LETS_GO) == 2


class TestInTheMiddleOfAPage:
    """The owner stands still in a Kafka transaction while another instance claims the source."""

    def frozen(self, scene: Scene, step: str) -> tuple[Process, Process]:
        """Return the owner, frozen, and the instance that claims its source."""
        first, second = ranking(scene.source, INSTANCES)
        owner = alone(scene, second, f"{step}:STOP")
        owner.wait_suspended()
        share(scene, owner, second)
        claims = scene.relay(first)
        claims.wait_for_output(CLAIMS)
        return owner, claims

    @pytest.mark.timeout(180)
    def test_the_owner_finishes_it_and_lets_go(self, shared: Scene) -> None:
        workload = shared.workload()
        workload.start()
        owner, claims = self.frozen(shared, "relay.produced:3")
        owner.resume()
        owner.wait_for_output(LETS_GO)
        claims.wait_for_output(OWNS)
        workload.wait_for(50)
        workload.stop()
        check(shared)
        assert [found for found in (AGAIN, COMMITTED) if found in claims.output] == [], "there was nothing to finish"
        assert owners(shared) == [*reversed(ranking(shared.source, INSTANCES))]

    @pytest.mark.timeout(180)
    @pytest.mark.parametrize("step", ["relay.planned:3", "relay.numbered:4"])
    def test_an_owner_that_does_not_answer_is_fenced_off(self, shared: Scene, step: str) -> None:
        """Its session ends before it goes on; what it has planned is sent by the other, and not by itself as well."""
        workload = shared.workload()
        workload.start()
        owner, claims = self.frozen(shared, step)
        while OWNS not in claims.output:
            end_silent_sessions(shared.url)
        claims.wait_for_output(AGAIN)
        workload.wait_for(50)
        owner.resume()
        owner.wait_for_output("standing by")
        workload.wait_for(50)
        workload.stop()
        check(shared)
        assert owners(shared) == [*reversed(ranking(shared.source, INSTANCES))]
