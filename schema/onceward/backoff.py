"""How long to wait before the next try."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first` up to `longest`."""

    first: timedelta
    longest: timedelta

    def seconds(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row (at least one)."""
        doublings = min(failures - 1, 40)
        return min(self.first.total_seconds() * 2.0**doublings, self.longest.total_seconds())

    def jittered(self, failures: int) -> float:
        """Return the same less up to a half, so that many that failed together do not come back together."""
        return self.seconds(failures) * random.uniform(0.5, 1)  # noqa: S311 -- spreads load, keeps no secret
