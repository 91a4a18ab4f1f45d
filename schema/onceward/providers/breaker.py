"""Gives a provider a rest when it fails again and again, so that nobody waits for it in vain."""

import time
from datetime import timedelta
from threading import Lock
from typing import Literal

from onceward.backoff import Backoff
from onceward.providers.limits import Clock

FAILURES = 5
"""In a row, before the first rest."""
RESTS = Backoff(timedelta(seconds=1), timedelta(minutes=1))
"""How long each is."""

Way = Literal["open", "probe", "shut"]


class Breaker:
    """Of one provider, in one worker process. Safe in all threads; never waits.

    After several failures in a row the provider rests. When the rest is over, one call is let through to probe; if that
    fails too the next rest is longer. Lookups do no harm and go on: an answer to one ends the rest as well. What began
    before a rest does not lengthen it.
    """

    def __init__(self, failures: int = FAILURES, rests: Backoff = RESTS, clock: Clock = time.monotonic) -> None:
        self._patience = failures
        self._rests = rests
        self._clock = clock
        self._failures = 0
        self._rests_in_a_row = 0
        self._until = 0.0
        self._probing = False
        self._lock = Lock()

    @property
    def rests(self) -> bool:
        """Whether the provider is given a rest, or is just being probed after one."""
        return self._rests_in_a_row > 0

    def ask(self) -> tuple[Way, float]:
        """Whether a call may be made: open, as the one that probes, or not for so many seconds."""
        with self._lock:
            if not self._rests_in_a_row:
                return "open", 0.0
            left = self._until - self._clock()
            if left > 0 or self._probing:
                return "shut", max(left, self._rests.first.total_seconds())
            self._probing = True
            return "probe", 0.0

    def answered(self) -> None:
        """Note that the provider answered something that can be understood."""
        with self._lock:
            self._failures = self._rests_in_a_row = 0
            self._probing = False

    def failed(self, way: Way) -> None:
        """Note that it could not be reached, or that nobody can tell what it did; `way` is how the call was let in."""
        with self._lock:
            self._failures += 1
            if way == "probe" or (not self._rests_in_a_row and self._failures >= self._patience):
                self._rests_in_a_row += 1
                self._until = self._clock() + self._rests.seconds(self._rests_in_a_row)
            self._probing = self._probing and way != "probe"

    def left(self, way: Way) -> None:
        """Note that a call ended without telling anything of the provider."""
        with self._lock:
            self._probing = self._probing and way != "probe"
