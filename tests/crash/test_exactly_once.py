"""Exactly-once mode, killed at each step and overtaken in the middle of one. A reader of committed messages is the judge."""

from typing import Any

import pytest

from tests.checker.checker import check_once
from tests.crash.scene import KILLED, OWNS, Scene
from tests.relay.support import by_key, connect, publish
from tests.support import Process, eventually

STEPS = (
    "relay.initialised",  # the producers before are fenced off, and nobody has asked for the last page yet
    "relay.numbered",  # in the transaction that has the last number and no message
    "relay.committed",
    "relay.produced:2",  # acknowledged, not planned
    "relay.planned:2",
    "relay.numbered:3",  # the first of these is the one without messages
    "relay.committed:3",
    "relay.confirmed",
)
AGAIN, COMMITTED = "a page was planned and not committed", "the last page was committed"
FINDS = {"relay.planned:2": AGAIN, "relay.numbered:3": AGAIN, "relay.committed:3": COMMITTED}
"""What the next relay says that it has found."""
BIG = "x" * 3000


def check(scene: Scene) -> None:
    scene.check()
    verdict = check_once(scene.arrived())
    assert verdict, str(verdict)


def killed_at(scene: Scene, step: str) -> Process:
    relay = scene.relay(failpoint=step)
    assert relay.wait(60) == KILLED, relay.output
    return relay


@pytest.mark.timeout(400)
def test_killed_at_each_step_under_load(once: Scene) -> None:
    workload = once.workload()
    workload.start()
    before = ""
    for step in STEPS:
        relay = killed_at(once, step)
        assert FINDS.get(before, OWNS) in relay.output
        before = step
    last = once.relay()
    workload.wait_for(100)
    workload.stop()
    check(once)
    assert last.terminate() == 0


@pytest.mark.timeout(400)
def test_killed_at_each_step_of_an_open_window(once: Scene) -> None:
    """More rows than many pages: the window stays as it is from owner to owner, while new rows come."""
    workload = once.workload()
    workload.write_many(60_000)
    before = ""
    for step in STEPS[3:7]:
        relay = killed_at(once, step)
        assert FINDS.get(before, OWNS) in relay.output
        assert planned_or_open(once.url)
        workload.write_many(20)
        before = step
    once.relay()
    check(once)


def planned_or_open(url: str) -> bool:
    newest = (
        "SELECT s2 IS NOT NULL OR planned_s2 IS NOT NULL FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1"
    )
    return bool(rows_of(url, newest)[0][0])


def rows_of(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.timeout(400)
def test_killed_at_each_step_of_what_kafka_refuses_and_of_its_release(once: Scene) -> None:
    relay = once.relay(failpoint="relay.judged")
    with connect(once.url) as app:
        publish(app, once.topic, "warm", "up")
        eventually(lambda: payloads(once) == {b"warm": ["up"]}, 60)
        once.kafka.configure(once.topic, max_message_bytes="2000")
        with app.transaction():
            for key, payload in (("a", "a1"), ("a", BIG), ("a", "a2"), ("b", "b1")):
                publish(app, once.topic, key, payload)
        assert relay.wait(60) == KILLED, relay.output
        assert finds(once, ["relay.planned", "relay.numbered:2", "relay.committed:2", ""]) == [
            OWNS,
            AGAIN,
            AGAIN,
            COMMITTED,
        ]
        assert payloads(once) == {b"warm": ["up"], b"a": ["a1"], b"b": ["b1"]}
        states = app.execute("SELECT state FROM onceward.held_message ORDER BY id").fetchall()
        assert states == [("poison",), ("behind",)]

        once.kafka.configure(once.topic, max_message_bytes="10000")
        app.execute("UPDATE onceward.hold SET state = 'releasing'")
        publish(app, once.topic, "a", "a3")
        steps = ["relay.planned", "relay.numbered:2", "relay.committed:2", "relay.released", ""]
        assert finds(once, steps) == [OWNS, AGAIN, AGAIN, COMMITTED, OWNS]
        assert payloads(once) == {b"warm": ["up"], b"a": ["a1", BIG, "a2", "a3"], b"b": ["b1"]}
        assert app.execute("SELECT FROM onceward.held_message").fetchall() == []


def finds(scene: Scene, steps: list[str]) -> list[str]:
    """Let one relay after the other die at its step, the last one drain; return what each has found to begin with."""
    found = []
    for step in steps:
        relay = scene.relay(failpoint=step)
        if step:
            assert relay.wait(60) == KILLED, relay.output
        else:
            eventually(scene.drained, 60)
            eventually(lambda: not rows_of(scene.url, "SELECT FROM onceward.hold WHERE state = 'releasing'"), 60)
            assert relay.terminate() == 0
        found.append(next((line for line in (AGAIN, COMMITTED) if line in relay.output), OWNS))
    return found


def payloads(scene: Scene) -> dict[bytes | None, list[str]]:
    return by_key(scene.kafka.records(scene.topic))


def end_silent_sessions(url: str) -> None:
    """End the sessions of relays that have said nothing for a second, as the server would after fifteen."""
    rows_of(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'onceward-relay%' AND state = 'idle' AND state_change < now() - interval '1 s'",
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", ["relay.produced:2:STOP", "relay.planned:2:STOP", "relay.numbered:3:STOP"])
def test_an_owner_that_is_overtaken_in_the_middle_of_a_page_commits_nothing(once: Scene, step: str) -> None:
    """It is frozen there, its session ends, another takes over, and then it goes on.

    Kafka has fenced it off: tests/relay/test_exactly_once.py asks for that alone, for here its lost session may stop it
    first.
    """
    workload = once.workload()
    workload.start()
    first = once.relay("first", failpoint=step)
    first.wait_for_output(OWNS, 90)
    second = once.relay("second")
    while OWNS not in second.output:
        end_silent_sessions(once.url)
    workload.wait_for(50)
    first.resume()
    first.wait_for_output("standing by", 60)
    workload.wait_for(50)
    workload.stop()
    check(once)
    assert second.terminate() == 0
