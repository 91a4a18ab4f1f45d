"""Processes are killed at the chosen times, come back, and are all ended at the end."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from onceward.errors import OncewardError
from onceward.failpoint import NAMES
from onceward_relay.demo import supervisor
from onceward_relay.demo.processes import Child, end_all
from onceward_relay.demo.supervisor import MEANING, Death, Kill, Supervisor, kill_plan
from tests.support import eventually

WAITS = "import time; print('up', flush=True); time.sleep(600)"
PASSES_A_FAILPOINT = "from onceward.failpoint import failpoint; failpoint('call.answered'); " + WAITS
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
BREAKS = "raise SystemExit(3)"

MakeChild = Callable[[str], Child]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[MakeChild]:
    made: list[Child] = []

    def make(program: str) -> Child:
        made.append(Child("victim", ["-c", program], {}, tmp_path / f"log-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Supervisor]]:
    monkeypatch.setattr(supervisor, "SETTLED", 0)
    started: list[Supervisor] = []

    def watch(child: Child, *, failpoints: list[str] | None = None, kills: list[Kill] | None = None) -> Supervisor:
        watching = Supervisor([child], {"victim": failpoints or []}, kills or [], Random(1), lambda _: None)
        started.append(watching)
        watching.start()
        return watching

    yield watch
    for each in started:
        each.stop()


def times_up(child: Child) -> int:
    return child.log.read_text().count("up")


def test_a_kill_waits_for_its_share_of_the_work(child: MakeChild, watched: Callable[..., Supervisor]) -> None:
    victim = child(WAITS)
    watching = watched(victim, kills=[Kill(0.5, "victim")])
    eventually(lambda: times_up(victim) == 1)
    watching.done = 0.4
    assert watching.deaths == []
    watching.done = 0.5
    eventually(lambda: watching.deaths == [Death("victim", "somewhere in its work")])
    eventually(lambda: times_up(victim) == 2)
    assert watching.faults == []


def test_who_dies_at_a_failpoint_comes_back_without_it(child: MakeChild, watched: Callable[..., Supervisor]) -> None:
    victim = child(PASSES_A_FAILPOINT)
    watching = watched(victim, failpoints=["call.answered:1"])
    eventually(lambda: times_up(victim) == 1)
    assert watching.deaths == [Death("victim", f"at call.answered: {MEANING['call.answered']}")]
    assert watching.faults == []


def test_who_ends_by_itself_is_a_fault_and_is_given_up_after_some(
    child: MakeChild, watched: Callable[..., Supervisor]
) -> None:
    watching = watched(child(BREAKS))
    eventually(lambda: len(watching.faults) == supervisor.FAULTS + 1)
    assert watching.faults[0].startswith("victim ended by itself with status 3")
    assert watching.deaths == []


def test_nobody_is_killed_who_has_only_just_begun(child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SETTLED", 600)
    victim = child(WAITS)
    watching = Supervisor([victim], {}, [Kill(0.0, "victim")], Random(1), lambda _: None)
    watching.start()
    eventually(lambda: times_up(victim) == 1)
    watching.stop()
    assert watching.deaths == []


def test_after_mercy_nobody_is_killed(child: MakeChild, watched: Callable[..., Supervisor]) -> None:
    victim = child(WAITS)
    watching = watched(victim, kills=[Kill(0.5, "victim")])
    watching.spare()
    watching.done = 1.0
    eventually(lambda: times_up(victim) == 1)
    watching.stop()
    assert watching.deaths == []


def test_the_plan_follows_from_the_seed_and_spares_nobody() -> None:
    plan = kill_plan(["a", "b"], Random(1))
    assert plan == kill_plan(["a", "b"], Random(1))
    assert plan != kill_plan(["a", "b"], Random(2))
    assert sorted(kill.victim for kill in plan) == ["a"] * supervisor.KILLS + ["b"] * supervisor.KILLS
    assert plan == sorted(plan, key=lambda kill: kill.progress)


def test_every_failpoint_that_has_a_meaning_exists() -> None:
    assert MEANING.keys() <= NAMES


def test_a_new_release_takes_the_place_of_the_old_one(child: MakeChild, watched: Callable[..., Supervisor]) -> None:
    victim = child("import os, time; print('up', os.environ.get('RELEASE'), flush=True); time.sleep(600)")
    watching = watched(victim)
    eventually(lambda: times_up(victim) == 1)
    watching.replace({"victim": {"RELEASE": "2"}})
    eventually(lambda: "up 2" in victim.log.read_text())
    assert (times_up(victim), watching.deaths, watching.faults) == (2, [], [])


def test_a_stubborn_process_is_killed_in_the_end(child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.demo.processes.GRACE", 0.2)
    stubborn, polite = child(STUBBORN), child(WAITS)
    for each in (stubborn, polite):
        each.start()
        each.line("up", 10)
    end_all([stubborn, polite])
    assert (stubborn.ended_with, polite.ended_with) == (-9, -15)


def test_a_child_that_dies_at_birth_says_why(child: MakeChild) -> None:
    unborn = child("raise RuntimeError('no air')")
    unborn.start()
    with pytest.raises(OncewardError, match="no air"):
        unborn.line("up", 10)


def test_a_child_that_says_nothing_is_not_waited_for_long(child: MakeChild) -> None:
    silent = child("import time; time.sleep(600)")
    silent.start()
    began = time.monotonic()
    with pytest.raises(OncewardError, match="did not start"):
        silent.line("up", 0.2)
    assert time.monotonic() - began < 5
