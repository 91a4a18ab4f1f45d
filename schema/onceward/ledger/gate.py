"""Whether a provider may be called now, as far as one worker process knows: its limits and its breaker."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from onceward.ledger.attempting import Verdict
from onceward.providers import Provider
from onceward.providers.breaker import Breaker, Way
from onceward.providers.limits import Clock, Limits

_FAILURES = frozenset({"unknown", "not_reached"})
"""Verdicts that speak for a provider in trouble."""
_SILENT = frozenset({"not_sent", None})
"""Verdicts that say nothing of it."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a call is not made now."""

    wait: timedelta
    """When it may be tried again."""
    why: str


class Gate:
    """Stands before one provider, in one worker process. Safe in all threads; never waits."""

    def __init__(self, provider: Provider[Any], clock: Clock = time.monotonic) -> None:
        self.limits = Limits(provider.in_flight, provider.per_second, clock)
        self.breaker = Breaker(clock=clock)

    @contextmanager
    def visit(self) -> Iterator["Visit"]:
        """Surround one attempt, from before it is recorded. Whether it may be made, its `obstacle` says."""
        visit = Visit(self)
        try:
            yield visit
        finally:
            visit.end(None)


class Visit:
    """One attempt at a provider, or the wish for one."""

    def __init__(self, gate: Gate) -> None:
        self._limits, self._breaker = gate.limits, gate.breaker
        self._way: Way | None = None
        self._made = self._ended = False
        self.obstacle: Obstacle | None = None
        """What keeps the attempt from being made now."""
        if not self._limits.take():
            self._ended = True
            self.obstacle = Obstacle(timedelta(0), "as many calls are under way as the provider is given at a time")
            return
        wait = self._limits.begin()
        if wait > 0:
            self._give_back()
            self.obstacle = Obstacle(timedelta(seconds=wait), "the provider is given no more calls in this second")

    def admit(self, kind: Literal["send", "lookup"]) -> Obstacle | None:
        """Return what keeps an attempt of this kind from being made now; None if it may be made."""
        if self.obstacle is not None or kind == "lookup":
            return self.obstacle
        way, wait = self._breaker.ask()
        if way == "shut":
            self.obstacle = Obstacle(
                timedelta(seconds=wait), "the provider rests, for it failed several times in a row"
            )
        else:
            self._way = way
        return self.obstacle

    def made(self) -> None:
        """Note that the attempt is recorded, so that it counts."""
        self._made = True

    def end(self, verdict: Verdict | None) -> None:
        """Give the slot back and tell the breaker what the attempt proves; None: it came to no end."""
        if self._ended:
            return
        if not self._made:
            self._limits.unbegin()
        self._give_back()
        way = self._way or "open"
        if verdict in _SILENT:
            self._breaker.left(way)
        elif verdict in _FAILURES:
            self._breaker.failed(way)
        else:
            self._breaker.answered()

    def _give_back(self) -> None:
        self._ended = True
        self._limits.give_back()
