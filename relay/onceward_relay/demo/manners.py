"""What the fake bank does with a request besides its duty."""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import Self

SECONDS: Mapping[str, float] = {
    "behave": 0,
    "lose_request": 0,
    "lose_reply": 0,
    "error_after": 0,
    "accept": 0,
    "cut_reply": 0,
    "drip": 10,
    "bomb": 0,
    "refuse": 0,
    "keep_a_fee": 0,
    "throttle": 1,
    "busy": 0,
    "slow": 0.3,
    "slow_reply": 0.3,
    "hold_request": 60,
    "hold_reply": 60,
    "down": 2,
}
"""Every manner, and how many seconds it takes unless `name:seconds` says otherwise.

lose_request, lose_reply: the connection is cut before or after the effect. error_after: status 500 after the effect.
accept: 202 after the effect, which is to be asked for.
cut_reply, drip, bomb: after the effect, half an answer, one that comes byte by byte, or one that gets far too long when
it is decompressed. refuse: 402, no effect. keep_a_fee: less is moved than asked, by a fee that nobody was told of.
throttle: 429 with Retry-After, no effect. busy: 409, no effect yet. slow, slow_reply: a delay before or after it.
hold_request, hold_reply: wait there until told to go on. down: refuses all connections for a while.
"""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one request is treated."""

    name: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name` or `name:seconds`.

        Raises:
            ValueError: there is no such manner.
        """
        name, _, seconds = text.partition(":")
        if name not in SECONDS:
            raise ValueError(f"{name[:80]!a} is none of {', '.join(SECONDS)}")
        try:
            return cls(name, float(seconds) if seconds else SECONDS[name])
        except ValueError:
            raise ValueError(f"{text[:80]!a} is not name:seconds") from None


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    """How the next request is treated, if it is of this operation, this reference and this account."""

    manner: Manner
    operation: str | None
    reference: str | None
    account: str | None

    def is_for(self, operation: str, reference: str, account: str | None) -> bool:
        """Whether a request is meant."""
        wanted = (self.operation, self.reference, self.account)
        return all(part in (None, found) for part, found in zip(wanted, (operation, reference, account), strict=True))


WELL = Manner("behave", 0)


class Manners:
    """Chooses a manner for each request: what was queued for it first, else by chance.

    Chance depends on the seed and the request's reference, and on nothing else: the same workload meets the same fate
    however its requests interleave. It strikes a reference at its first request only, so that all ends in bounded time.
    """

    def __init__(self, seed: int, rates: Mapping[str, float]) -> None:
        self._seed = seed
        self._rates = [(Manner.parse(text), rate) for text, rate in rates.items()]
        self._queued: deque[_Queued] = deque()
        self._seen: set[tuple[str, str]] = set()
        self._lock = Lock()

    def queue(
        self,
        manners: Sequence[str],
        operation: str | None = None,
        reference: str | None = None,
        account: str | None = None,
    ) -> None:
        """Let the next requests, those of `operation`, `reference` and `account` if these are given, be treated so."""
        parsed = [_Queued(Manner.parse(text), operation, reference, account) for text in manners]
        with self._lock:
            self._queued.extend(parsed)

    def next(self, operation: str, reference: str, account: str | None = None) -> Manner:
        """Return how this request is to be treated."""
        with self._lock:
            for queued in self._queued:
                if queued.is_for(operation, reference, account):
                    self._queued.remove(queued)
                    return queued.manner
            if (operation, reference) in self._seen:
                return WELL
            self._seen.add((operation, reference))
        return self._by_chance(f"{self._seed}/{operation}/{reference}")

    def _by_chance(self, identity: str) -> Manner:
        left = Random(hashlib.sha256(identity.encode()).digest()).random()  # noqa: S311 -- a demo's dice
        for manner, rate in self._rates:
            left -= rate
            if left < 0:
                return manner
        return WELL


def rates(text: str) -> dict[str, float]:
    """Read `lose_reply=0.02,down:3=0.001`: the share of requests that are treated so.

    Raises:
        ValueError: it is no such list, or the shares come to more than 1.
    """
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        manner, _, share = part.partition("=")
        try:
            found[str(manner)] = float(share)
        except ValueError:
            raise ValueError(f"{part[:80]!a} is not manner=share") from None
    if any(share < 0 for share in found.values()) or sum(found.values()) > 1:
        raise ValueError("the shares must be at least 0 and come to at most 1")
    return found
