"""How fast an outbox grows, and when it will have reached its limit."""

import math
from collections import deque

OVER = 600.0
"""Seconds over which growth is measured. Between two emptyings of slots it is what is being written."""


class Growth:
    """The bytes of one outbox over the last ten minutes."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, size: int) -> None:
        """Take in what the outbox measures at a moment of a steady clock, in seconds."""
        self._seen.append((now, size))
        while len(self._seen) > 1 and self._seen[1][0] <= now - OVER:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second, below 0 while it shrinks; 0 until there are two measurements."""
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0

    def seconds_until(self, limit: int) -> float:
        """Return when it reaches `limit` if it goes on like this: 0 if it has, infinite if it does not grow."""
        left = limit - self._seen[-1][1]
        if left <= 0:
            return 0.0
        return left / self.rate if self.rate > 0 else math.inf
