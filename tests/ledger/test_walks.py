"""Any sequence of answers, deaths, late answers, rotations and waits, for any provider that keeps what it declares: no effect comes twice."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onceward.errors import NotReached, Rejected
from onceward.ledger import Ledger, Succeeded
from onceward.providers import Always, Lookup, Never, Operation, Provider, Repeat, SameKey, Sending
from tests.conftest import Database
from tests.ledger.bank import Paid, Pay
from tests.ledger.conftest import Books, Make

LIFETIME = timedelta(hours=2)
SETTLE = timedelta(seconds=30)

MANNERS = ("behave", "lose the reply", "lose the request", "refuse", "be away", "die after")
LOOKUPS = ("look", "look in vain")
STEPS = st.one_of(
    st.sampled_from([timedelta(seconds=20), timedelta(minutes=7), timedelta(hours=1), timedelta(hours=30)]),
    st.just("rotate"),
    st.just("the caller repeats"),
)


@dataclass
class Declared:
    """What the provider declares, and keeps."""

    repeat: Repeat
    lookup: str
    rejects_final: bool


DECLARATIONS = st.builds(
    Declared,
    repeat=st.sampled_from([Never(), SameKey(LIFETIME), SameKey(LIFETIME, replays="everything"), Always()]),
    lookup=st.sampled_from(["none", "positive", "authoritative"]),
    rejects_final=st.booleans(),
)


@dataclass
class Truth:
    """A provider that does one thing, with books that no crash reaches."""

    declared: Declared
    manners: list[tuple[str, bool]]
    """For each request: what becomes of it, and whether the answer comes after the worker's lease."""
    lookups: list[str]
    clock: timedelta = timedelta(0)
    scope: int = 0
    effects: list[tuple[int, timedelta]] = field(default_factory=list)
    """The scope and time of each."""
    meanwhile: list[str] = field(default_factory=list)
    world: "World | None" = None

    def take(self, sending: Sending) -> Paid:
        manner, late = self.manners.pop(0) if self.manners else ("behave", False)
        result = self._act(manner)
        if late and self.world is not None:
            self.world.another_worker_goes_on(timedelta(minutes=2))
        return self._answer(manner, result)

    def _act(self, manner: str) -> str:
        if manner in ("lose the request", "be away"):
            return "nothing"
        if manner == "refuse" and not (self.effects and self.declared.rejects_final):
            return "refused"
        if not self._remembers():
            self.effects.append((self.scope, self.clock))
        return "done"

    def _remembers(self) -> bool:
        here = [at for scope, at in self.effects if scope == self.scope]
        if isinstance(self.declared.repeat, SameKey):
            return any(self.clock - at < LIFETIME for at in here)
        return bool(here) and isinstance(self.declared.repeat, Always)

    def _answer(self, manner: str, result: str) -> Paid:
        if manner == "die after":
            raise SystemExit  # no Exception: nothing is recorded, as if the process had been killed
        if manner.startswith("lose"):
            raise ConnectionResetError
        if manner == "be away":
            raise NotReached("connection refused", code="not_reached")
        if result == "refused":
            raise Rejected("no funds", code="no_funds")
        return Paid(reference="r", amount=Pay().amount)

    def ask(self) -> Paid | None:
        if (self.lookups.pop(0) if self.lookups else "look") == "look in vain":
            raise ConnectionResetError
        seen = [scope for scope, at in self.effects if scope == self.scope and self.clock - at >= SETTLE]
        return Paid(reference="r", amount=Pay().amount) if seen else None

    def provider(self, name: str) -> tuple[Provider["Truth"], Operation["Truth", Pay, Paid]]:
        provider = Provider(name, lambda: self, scope=lambda: f"merchant-{self.scope}")

        @provider.operation(
            repeat=self.declared.repeat, timeout=timedelta(seconds=1), rejects_final=self.declared.rejects_final
        )
        def pay(client: Truth, request: Pay, call: Sending) -> Paid:
            return client.take(call)

        if self.declared.lookup != "none":
            authoritative = self.declared.lookup == "authoritative"
            pay.found = Lookup(lambda client, _request, _call: client.ask(), authoritative, SETTLE)
        return provider, pay


@dataclass
class World:
    """One call, its provider, and time."""

    truth: Truth
    ledger: Ledger
    other: Ledger
    pay: Operation[Truth, Pay, Paid]
    books: Books
    key: str

    def call(self) -> None:
        with suppress(SystemExit):
            self.ledger.call(self.pay, Pay(), key=self.key)

    def sweep(self, ledger: Ledger) -> None:
        with suppress(SystemExit):
            ledger.sweep(limit=3)

    def another_worker_goes_on(self, time: timedelta) -> None:
        self.let_pass(time)
        self.sweep(self.other)

    def let_pass(self, time: timedelta) -> None:
        self.truth.clock += time
        self.books.pass_time(time)

    def check(self) -> None:
        """What must hold at every moment."""
        call = self.books.call_by_key(self.key)
        effects = len(self.truth.effects)
        assert effects <= 1, "an effect came twice"
        if call is None:
            return
        if call.state == "succeeded":
            assert effects == 1, "recorded as done, but nothing was"
        elif call.state in ("failed", "pending"):
            assert effects == 0, f"recorded as {call.state}, but it took effect"


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


LOST, REFUSED = ("lose the reply", False), ("refuse", False)
KEYED = Declared(SameKey(LIFETIME), "none", rejects_final=False)
ASKED = Declared(Never(), "authoritative", rejects_final=False)


@example(declared=KEYED, bad=[LOST, REFUSED], lookups=[], steps=[timedelta(minutes=7)])
@example(declared=KEYED, bad=[LOST], lookups=[], steps=[timedelta(hours=30)])
@example(declared=ASKED, bad=[LOST], lookups=[], steps=[timedelta(seconds=20)])
@example(declared=ASKED, bad=[LOST], lookups=[], steps=["rotate", timedelta(hours=1)])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    declared=DECLARATIONS,
    bad=st.lists(st.tuples(st.sampled_from(MANNERS), st.booleans()), min_size=1, max_size=6),
    lookups=st.lists(st.sampled_from(LOOKUPS), max_size=3),
    steps=st.lists(STEPS, max_size=6),
)
def test_no_effect_comes_twice_and_no_verdict_is_wrong(
    database: Database,
    ledger_of: Make,
    books: Books,
    numbers: Iterator[int],
    declared: Declared,
    bad: list[tuple[str, bool]],
    lookups: list[str],
    steps: list[timedelta | str],
) -> None:
    truth = Truth(declared, list(bad), list(lookups))
    provider, pay = truth.provider(f"bank-{next(numbers)}")
    world = World(truth, ledger_of(provider), ledger_of(provider, "other"), pay, books, provider.name)
    truth.world = world
    world.call()
    world.check()
    for step in steps:
        if isinstance(step, timedelta):
            world.let_pass(step)
            world.sweep(world.ledger)
        elif step == "rotate":
            truth.scope += 1
        else:
            world.call()
        world.check()
    for _ in range(len(truth.manners) + len(truth.lookups) + 4):
        world.let_pass(timedelta(minutes=10))
        world.sweep(world.ledger)
        world.check()
    last = books.call_by_key(provider.name)
    assert last is not None
    if last.settled_at is None:
        assert last.state == "in_doubt", "with a provider that behaves, only doubt remains"
        assert [kind for kind, _ in books.incidents(last.id)] == ["in_doubt"], "and people know of it"
    else:
        assert books.incidents(last.id) == []
        assert isinstance(world.ledger.call(pay, Pay(), key=provider.name), Succeeded) == (last.state == "succeeded")
