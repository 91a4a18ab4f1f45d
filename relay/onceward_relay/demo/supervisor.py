"""Kills the demo's processes at times that the seed chooses, and starts whatever has ended again."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from onceward_relay.demo.processes import Child, end_all

KILLS = 2
"""How often each victim is killed from outside, besides by its failpoints."""
SETTLED = 4.0
"""Seconds that a process must have lived before it is killed from outside."""
FAULTS = 3
"""How often a process may end by itself before it is no longer started again."""
_TICK = 0.05

MEANING: Mapping[str, str] = {
    "relay.window_opened": "it was about to send what it had read",
    "relay.acknowledged": "Kafka has the messages, but no checkpoint says so",
    "call.recorded": "the call is written down, but not a byte has left",
    "call.answered": "the bank has acted, but its answer is written down nowhere",
    "flow.undoing": "a transfer is to be undone, but nothing of it is",
    "flow.step_recorded": "one step is done, the next has not begun",
    "consumer.handled": "a message was handled, but nothing is committed",
    "consumer.committed": "a message is committed, but Kafka does not know",
}
"""What a death at a failpoint means, in words."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill from outside: when so much of the work is done."""

    progress: float
    victim: str


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed."""

    victim: str
    how: str
    """In words."""


def kill_plan(victims: Sequence[str], random: Random) -> list[Kill]:
    """Return when which victim is to be killed, in order."""
    return sorted(
        (Kill(random.uniform(0.05, 0.85), victim) for victim in victims for _ in range(KILLS)),
        key=lambda kill: kill.progress,
    )


class Supervisor:
    """Watches over children in a thread of its own.

    Args:
        failpoints: for each child, where it kills itself in its first life, its second, and so on.
        kills: the kills from outside.
        tell: is told of each death.
    """

    def __init__(
        self,
        children: Sequence[Child],
        failpoints: Mapping[str, Sequence[str]],
        kills: Sequence[Kill],
        random: Random,
        tell: Callable[[str], None],
    ) -> None:
        self.done = 0.0
        """How much of the work is done, from 0 to 1: kills wait for their share of it."""
        self.deaths: list[Death] = []
        self.faults: list[str] = []
        """Ends that nobody asked for, with the end of the log."""
        self._children = {child.name: child for child in children}
        self._failpoints = {name: list(points) for name, points in failpoints.items()}
        self._armed: dict[str, str | None] = {}
        self._back_at: dict[str, float] = {}
        self._replacements: deque[tuple[Mapping[str, Mapping[str, str]], threading.Event]] = deque()
        self._kills = list(kills)
        self._random = random
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start all children and watch over them."""
        for child in self._children.values():
            self._start(child)
        self._thread.start()

    def spare(self) -> None:
        """Kill no more; whoever dies at a failpoint still comes back."""
        self._kills.clear()
        self._failpoints.clear()

    def replace(self, environments: Mapping[str, Mapping[str, str]]) -> None:
        """End these children and start them again with these variables; return when that is done."""
        done = threading.Event()
        self._replacements.append((environments, done))
        while self._thread.is_alive() and not done.wait(_TICK):
            pass

    def stop(self) -> None:
        """Watch no longer. The children go on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK):
            for child in self._children.values():
                self._look_after(child)
            for kill in [each for each in self._kills if each.progress <= self.done]:
                self._kill(kill)
            while self._replacements:
                environments, done = self._replacements.popleft()
                self._replace(environments)
                done.set()

    def _replace(self, environments: Mapping[str, Mapping[str, str]]) -> None:
        children = [self._children[name] for name in environments]
        end_all(children)
        for child in children:
            child.environment |= environments[child.name]
            self._back_at.pop(child.name, None)
            self._start(child)

    def _look_after(self, child: Child) -> None:
        if (back_at := self._back_at.get(child.name)) is not None:
            if time.monotonic() >= back_at:
                del self._back_at[child.name]
                self._start(child)
        elif (status := child.ended_with) is not None:
            self._ended(child, status)

    def _start(self, child: Child) -> None:
        points = self._failpoints.get(child.name)
        self._armed[child.name] = points.pop(0) if points else None
        child.start(self._armed[child.name])

    def _kill(self, kill: Kill) -> None:
        child = self._children[kill.victim]
        alive = kill.victim not in self._back_at and child.ended_with is None
        if alive and time.monotonic() - child.started_at >= SETTLED:
            self._kills.remove(kill)
            child.kill()
            self._died(child, "somewhere in its work")

    def _ended(self, child: Child, status: int) -> None:
        point = (self._armed[child.name] or "").partition(":")[0]
        if status == -signal.SIGKILL and point:
            self._died(child, f"at {point}: {MEANING[point]}")
            return
        self.faults.append(f"{child.name} ended by itself with status {status}:\n{child.tail()}")
        self._tell(f"{child.name} ended by itself with status {status}; its output is {child.log}")
        if len(self.faults) <= FAULTS:
            self._come_back(child)

    def _died(self, child: Child, how: str) -> None:
        self.deaths.append(Death(child.name, how))
        self._tell(f"{child.name} killed {how}")
        self._come_back(child)

    def _come_back(self, child: Child) -> None:
        self._back_at[child.name] = time.monotonic() + self._random.uniform(0.1, 0.8)
