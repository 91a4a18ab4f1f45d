"""A campaign: the rounds of a plan on a stage, with the story of what is done."""

import threading
import time
import traceback
from collections import Counter
from contextlib import ExitStack

from tests.campaign.faults import AWAY, FAULTS
from tests.campaign.judge import Judge, Reckoning
from tests.campaign.plan import Injection, occupied, rounds
from tests.campaign.stage import Stage

RECKONED_IN = 10.0
"""Seconds that a round's end takes, about: another round begins only if there is time for that too."""
WATCH_EVERY = 0.25
NEVER_SAID = "a fault of the relay itself", "source halted"
"""What no relay may say in a campaign: nothing here restores a database."""


class Campaign:
    """Plays rounds until the time is over or something was found."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self._stage = stage
        self._seconds = seconds
        """Of each round."""
        self._judge = Judge(stage)
        self._locks: dict[str, threading.Lock] = {}
        self._findings: list[str] = []
        self._done: Counter[str] = Counter()
        self._total = Reckoning()
        self._began = 0.0

    def run(self, minutes: float) -> list[str]:
        """Play for so long; return what was found."""
        end = time.monotonic() + minutes * 60
        for number, plan in enumerate(rounds(self._stage.seed, self._stage.scale, self._seconds), 1):
            print(f"round {number}", flush=True)
            self._play(number, plan)
            if self._findings or time.monotonic() + self._seconds + RECKONED_IN > end:
                break
        self._sum_up(number)
        return self._findings

    def _play(self, number: int, plan: list[Injection]) -> None:
        self._stage.begin_round(number, self._seconds)
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._inject, args=(injection,)) for injection in plan]
        for injection, thread in zip(plan, threads, strict=True):
            self._watch_until(injection.at)
            thread.start()
        self._watch_until(self._seconds)
        for thread in threads:
            thread.join()
        self._stage.wait_until_up()
        self._say("all faults are healed; the writers stop")
        self._close(self._judge.reckon())

    def _inject(self, injection: Injection) -> None:
        begun = False
        try:
            with ExitStack() as needed:
                for name in sorted(occupied(injection, self._stage.scale)):
                    needed.enter_context(self._locks.setdefault(name, threading.Lock()))
                with FAULTS[injection.fault](self._stage, injection):
                    begun = True
                    self._done[injection.fault] += 1
                    self._say(str(injection))
                    time.sleep(injection.seconds)
        except AWAY as error:
            if begun:
                self._found(f"{injection} does not heal: {error}")
            self._say(f"{injection}: without effect, the server is away")
        except Exception as error:  # noqa: BLE001 -- in a thread of its own it would go unnoticed
            traceback.print_exc()
            self._found(f"the campaign itself failed in {injection}: {error}")

    def _watch_until(self, at: float) -> None:
        """Wait for a time of the round, and see to it that everybody is there."""
        while True:
            for member in self._stage.members.values():
                if member.ended_by_itself():
                    self._found(f"{member.name} ended by itself; see {member.output}")
            left = self._began + at - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, WATCH_EVERY))

    def _close(self, result: Reckoning) -> None:
        for name in self._stage.scale.relay_names:
            news = self._stage.members[name].news()
            self._findings += [f"{name} said: {said}" for said in NEVER_SAID if said in news]
        self._findings += result.findings
        self._total.committed += result.committed
        self._total.undone += result.undone
        self._total.repeated += result.repeated
        self._total.drained = max(self._total.drained, result.drained)
        self._total.taken = max(self._total.taken, result.taken)
        self._total.settled = max(self._total.settled, result.settled)
        self._total.calls = result.calls
        self._total.doubtful = result.doubtful
        self._say(f"{result.calls} calls so far, {result.doubtful} in doubt, settled after {result.settled:.1f} s")
        self._say(
            f"{result.committed} messages committed, {result.undone} undone, {result.repeated} sent again;"
            f" drained after {result.drained:.1f} s, taken after {result.taken:.1f} s:"
            f" {'FOUND' if self._findings else 'all promises were kept'}"
        )

    def _sum_up(self, number: int) -> None:
        done = ", ".join(f"{fault} {count}" for fault, count in sorted(self._done.items()))
        print(f"{number} rounds, {self._done.total()} faults: {done}")
        total = self._total
        print(
            f"{total.committed} messages committed, {total.undone} undone, {total.repeated} sent again,"
            f" drained at the latest after {total.drained:.1f} s, taken after {total.taken:.1f} s;"
            f" {total.calls} calls, {total.doubtful} of them left to people, settled after {total.settled:.1f} s",
            flush=True,
        )

    def _found(self, what: str) -> None:
        self._say(f"FOUND {what}")
        self._findings.append(what)

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:8.1f} s  {what}", flush=True)
