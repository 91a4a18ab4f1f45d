"""What attempts came to since the start of this process, for a participant's metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from onceward.ledger.attempting import Verdict
from onceward.ledger.gate import Gate

Kind = Literal["send", "lookup"]


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts at one operation that came to the same."""

    provider: str
    operation: str
    kind: Kind
    verdict: Verdict
    number: int
    seconds: float
    """What they took in all, until the provider's answer."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How a provider is doing just now, as far as this process knows."""

    provider: str
    in_flight: int
    """Attempts that are under way."""
    resting: bool
    """It is given a rest, for it failed several times in a row."""


class CallCounts:
    """Numbers of attempts since the start. Safe in all threads."""

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        self._gates = gates
        self._of: dict[tuple[str, str, Kind, Verdict], tuple[int, float]] = {}
        self._lock = Lock()

    def add(self, provider: str, operation: str, kind: Kind, verdict: Verdict, seconds: float) -> None:
        """Count an attempt that took so many seconds."""
        with self._lock:
            number, sum_of_seconds = self._of.get(key := (provider, operation, kind, verdict), (0, 0.0))
            self._of[key] = number + 1, sum_of_seconds + seconds

    def attempts(self) -> list[Attempts]:
        """Return the numbers, for each operation, kind and verdict."""
        with self._lock:
            return [Attempts(*key, *found) for key, found in sorted(self._of.items())]

    @property
    def resting(self) -> list[str]:
        """Names of the providers that are given a rest just now."""
        return [each.provider for each in self.providers() if each.resting]

    def providers(self) -> list[Occupancy]:
        """Return how each provider is doing just now."""
        return [
            Occupancy(name, gate.limits.in_flight, gate.breaker.rests) for name, gate in sorted(self._gates.items())
        ]
