"""What is done to whom, and when: made from the seed alone, so that it can be repeated."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from onceward.failpoint import NAMES

CALM = 1.0
"""Seconds at the begin and at the end of a round without new faults."""
MEAN_GAP = 2.0
"""Seconds between two faults, in the mean."""
GAP_OF_PAYERS = 6.0
"""The same, of faults that hit payers. They are drawn apart, so that the others are what they were without payers."""

ELSEWHERE = {"relay.judged", "relay.released", "relay.confirmed", "call.accepted", "flow.signal_taken"} | {
    name for name in NAMES if name.startswith(("decision.", "report."))
}
"""Points that nobody passes in everyday work: of the relay's the first two belong to refusals, the third to a minute
without work; and the payers' flows wait for no message, at a bank that settles at once and reports nothing."""


@dataclass(frozen=True)
class Scale:
    """How many there are of each."""

    servers: int = 2
    sources: int = 2
    relays: int = 2
    consumers: int = 2
    """For each source."""
    keys: int = 20
    """Shared by the writers of a source; each transaction of some kinds has keys of its own besides."""
    writers: int = 2
    """Threads of each source's writer."""
    payers: int = 2
    """Workers in the first source's database, whose flows pay at the bank."""

    @property
    def server_names(self) -> list[str]:
        return _numbered("server", self.servers)

    @property
    def source_names(self) -> list[str]:
        return _numbered("source", self.sources)

    @property
    def relay_names(self) -> list[str]:
        return _numbered("relay", self.relays)

    @property
    def writer_names(self) -> list[str]:
        return _numbered("writer", self.sources)

    @property
    def payer_names(self) -> list[str]:
        return _numbered("payer", self.payers)

    @property
    def consumer_names(self) -> list[str]:
        return [f"consumer-{of}.{i}" for of in range(1, self.sources + 1) for i in range(1, self.consumers + 1)]

    @property
    def database_links(self) -> list[str]:
        return [f"{relay} to {server}" for relay in self.relay_names for server in self.server_names]

    @property
    def kafka_links(self) -> list[str]:
        return [f"{relay} to kafka" for relay in self.relay_names]


@dataclass(frozen=True)
class Injection:
    """A fault, its target, and when it begins and is healed, in seconds since the round began."""

    at: float
    fault: str
    target: str
    seconds: float
    how: str = ""

    def __str__(self) -> str:
        lasts = f", for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.fault}: {self.target}{lasts}{f' ({self.how})' if self.how else ''}"


@dataclass(frozen=True)
class Kind:
    """A kind of fault: whom it may hit, for how long, in which ways, and what it needs for itself."""

    fault: str
    targets: Callable[[Scale], Sequence[str]]
    seconds: tuple[float, float]
    hows: Sequence[str] = ("",)
    also: Callable[[Scale], Sequence[str]] = lambda _: ()


def _every_relay(_: Scale) -> Sequence[str]:
    return ("every relay",)


def _kafka(_: Scale) -> Sequence[str]:
    return ("kafka",)


def _all_that_send(scale: Scale) -> Sequence[str]:
    return ("kafka", *scale.relay_names)


def _points(of: str) -> Sequence[str]:
    return [name for name in sorted(NAMES) if name.startswith(f"{of}.") and name not in ELSEWHERE]


DIRECTIONS = ("both", "to server", "to client")
REFUSAL = "refusal"
KINDS = (
    Kind("kill", lambda scale: scale.relay_names, (0, 3)),
    Kind("freeze past the lease", lambda scale: scale.relay_names, (17, 19)),
    Kind("failpoint", _every_relay, (6, 6), _points("relay"), lambda scale: scale.relay_names),
    Kind("kill", lambda scale: scale.consumer_names, (0, 3)),
    Kind("freeze", lambda scale: scale.consumer_names, (8, 10)),
    Kind("failpoint", lambda scale: scale.consumer_names, (6, 6), _points("consumer")),
    Kind("kill", lambda scale: scale.writer_names, (0, 2)),
    Kind("database down", lambda scale: scale.server_names, (0, 4), ("immediate", "kill", "fast")),
    Kind("terminate backends", lambda scale: scale.source_names, (0, 0), ("of the relay", "all")),
    Kind("snapshot held", lambda scale: scale.source_names, (10, 20)),
    Kind("prepared and abandoned", lambda scale: scale.source_names, (8, 20), ("committed", "rolled back")),
    Kind("table locked", lambda scale: scale.source_names, (2, 6), ("checkpoint", "inbox", "outbox")),
    Kind("short timeouts", lambda scale: scale.source_names, (2, 4)),
    Kind("deadlocks", lambda scale: scale.source_names, (3, 3)),
    Kind("backlog", lambda scale: scale.source_names, (0, 0)),
    Kind("kafka down", _kafka, (0, 4)),
    Kind("kafka frozen", _kafka, (2, 8)),
    Kind(REFUSAL, lambda scale: scale.source_names, (2, 4), ("", "relay.judged", "relay.released"), _all_that_send),
    Kind("topic missing", lambda scale: scale.source_names, (4, 8)),
    Kind("network cut", lambda scale: scale.database_links, (5, 20), DIRECTIONS),
    Kind("connections broken", lambda scale: scale.database_links, (0, 0)),
    Kind("network cut", lambda scale: scale.kafka_links, (5, 15), DIRECTIONS),
    Kind("connections broken", lambda scale: scale.kafka_links, (0, 0)),
)
KINDS_OF_PAYERS = (
    Kind("kill", lambda scale: scale.payer_names, (0, 3)),
    Kind("freeze past the lease", lambda scale: scale.payer_names, (14, 17)),
    Kind("failpoint", lambda scale: scale.payer_names, (6, 6), [*_points("call"), *_points("flow")]),
)


def occupied(injection: Injection, scale: Scale) -> frozenset[str]:
    """Return all that `injection` needs for itself."""
    kind = next(
        k for k in KINDS + KINDS_OF_PAYERS if k.fault == injection.fault and injection.target in k.targets(scale)
    )
    own = injection.fault if injection.target in scale.source_names else ""
    return frozenset({f"{injection.target} {own}".strip(), *kind.also(scale)})


def rounds(seed: int, scale: Scale, seconds: float) -> Iterator[list[Injection]]:
    """Yield the plans of all rounds, each of so many seconds. Every fault comes up once before any comes up again."""
    everybody = _plans(random.Random(seed), KINDS, scale, seconds, MEAN_GAP)
    of_payers = KINDS_OF_PAYERS if scale.payers else ()
    payers = _plans(random.Random(f"{seed}, payers"), of_payers, scale, seconds, GAP_OF_PAYERS)
    for plan, more in zip(everybody, payers, strict=False):  # neither ends
        yield sorted(plan + more, key=lambda injection: injection.at)


def _plans(
    chance: random.Random, kinds: Sequence[Kind], scale: Scale, seconds: float, gap: float
) -> Iterator[list[Injection]]:
    cards = [(kind, how) for kind in kinds for how in kind.hows]
    deck: list[tuple[Kind, str]] = []
    while True:
        free: dict[str, float] = defaultdict(float)
        plan: list[Injection] = []
        at = CALM
        while at < seconds - CALM:
            if not deck:
                deck = chance.sample(cards, len(cards))
            fitting = (_fit(card, chance, scale, at, seconds - CALM, free) for card in list(deck))
            found = next((each for each in fitting if each), None)
            if found is not None:
                plan.append(found)
                deck.remove(next((kind, how) for kind, how in deck if _is_of(found, kind, how, scale)))
                free |= dict.fromkeys(occupied(found, scale), found.at + found.seconds + CALM)
            at += chance.expovariate(1 / gap)
        yield plan


def _fit(
    card: tuple[Kind, str], chance: random.Random, scale: Scale, at: float, end: float, free: dict[str, float]
) -> Injection | None:
    """Return what the card stands for, if one of its targets is free now and the round is long enough."""
    kind, how = card
    injection = Injection(
        round(at, 1), kind.fault, chance.choice(kind.targets(scale)), round(chance.uniform(*kind.seconds), 1), how
    )
    fits = at + injection.seconds <= end and all(free[name] <= at for name in occupied(injection, scale))
    return injection if fits else None


def _is_of(injection: Injection, kind: Kind, how: str, scale: Scale) -> bool:
    return (injection.fault, injection.how) == (kind.fault, how) and injection.target in kind.targets(scale)


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}-{i}" for i in range(1, count + 1)]
