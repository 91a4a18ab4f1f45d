"""How much of a provider one worker process uses at a time."""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from onceward.errors import ConfigError

Clock = Callable[[], float]
"""Gives seconds that only grow."""


def check(in_flight: int, per_second: float | None) -> None:
    """Refuse limits that nothing could keep.

    Raises:
        ConfigError: names the limit.
    """
    if type(in_flight) is not int or not 1 <= in_flight <= 1000:
        raise ConfigError("in_flight", f"must be a whole number from 1 to 1000, is {in_flight!r}")
    if per_second is not None and not 0.001 <= per_second <= 1_000_000:
        raise ConfigError("per_second", f"must be None or a number from 0.001 to 1000000, is {per_second!r}")


class Limits:
    """Gives out a provider's slots, and in each second only so many beginnings. Safe in all threads; never waits.

    Args:
        in_flight: slots.
        per_second: beginnings in any second, at most; below one, one in so many seconds. None: any number.
        clock: tells the time.
    """

    def __init__(self, in_flight: int, per_second: float | None, clock: Clock = time.monotonic) -> None:
        self._slots = in_flight
        self._taken = 0
        self._allowed = max(1, int(per_second or 1))
        self._span = 0.0 if per_second is None else self._allowed / per_second
        self._begun: deque[float] = deque()
        self._clock = clock
        self._lock = Lock()

    @property
    def in_flight(self) -> int:
        """Slots that are taken."""
        return self._taken

    @property
    def free(self) -> int:
        """Slots that are free."""
        return self._slots - self._taken

    def take(self) -> bool:
        """Take a slot; return False if none is free."""
        with self._lock:
            if self._taken >= self._slots:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken -= 1

    def begin(self) -> float:
        """Count a beginning and return 0; or return in how many seconds there may be the next one."""
        with self._lock:
            now = self._clock()
            while self._begun and self._begun[0] <= now - self._span:
                self._begun.popleft()
            if self._span and len(self._begun) >= self._allowed:
                return self._begun[0] + self._span - now
            if self._span:
                self._begun.append(now)
            return 0.0

    def unbegin(self) -> None:
        """Take the last beginning back: nothing was sent."""
        with self._lock:
            if self._begun:
                self._begun.pop()
