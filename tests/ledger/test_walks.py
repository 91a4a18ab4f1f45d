"""Any sequence of answers, deaths, late answers, rotations, reports, decisions and waits, for any provider that keeps what it declares.

No effect comes twice under a key, no verdict is wrong, and no more is refunded than was paid.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from pydantic import BaseModel

from onceward.errors import Accepted, NotReached, Rejected
from onceward.ledger import Failed, FlowStep, Ledger, Succeeded
from onceward.ledger.evidence import Evidence
from onceward.ledger.report import report
from onceward.ledger.resolving import Resolving
from onceward.providers import Always, Lookup, Money, Never, Operation, Provider, Repeat, SameKey, Sending
from tests.conftest import Database
from tests.ledger.bank import Paid, Pay
from tests.ledger.conftest import Books, Make
from tests.people.desk import calling

LIFETIME = timedelta(hours=2)
SETTLE = timedelta(seconds=30)
PROCESSING = timedelta(minutes=5)
"""How long a provider takes for what it has accepted."""
AMOUNT = Pay().amount
REASON = "the truth, as the provider's books have it"

MANNERS = ("behave", "lose the reply", "lose the request", "refuse", "be away", "die after", "accept", "accept in vain")
LOOKUPS = ("look", "look in vain")
EVENTS = ("rotate", "the caller repeats", "a report", "an old report", "a person says", "a new key", "a refund")
STEPS = st.one_of(
    st.sampled_from([timedelta(seconds=20), timedelta(minutes=7), timedelta(hours=1), timedelta(hours=30)]),
    st.sampled_from(EVENTS),
)
Fate = Literal["done", "refused", "accepted", "nothing"]


class Refund(BaseModel):
    amount: Decimal


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


@dataclass(frozen=True)
class Effect:
    """What the provider has done under a key."""

    scope: int
    at: timedelta
    reference: str


@dataclass(frozen=True)
class Case:
    """What the provider has accepted, and not carried out yet."""

    scope: int
    until: timedelta
    succeeds: bool
    reference: str


@dataclass(frozen=True)
class News:
    """What the provider would report of a key."""

    key: str
    applied: bool
    reference: str | None


@dataclass
class Truth:
    """A provider that pays and refunds, with books that no crash reaches."""

    declared: Declared
    manners: list[tuple[str, bool]]
    """For each request: what becomes of it, and whether the answer comes after the worker's lease."""
    lookups: list[str]
    clock: timedelta = timedelta(0)
    scope: int = 0
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    world: "World | None" = None

    def take(self, sending: Sending) -> Paid:
        manner, late = self.manners.pop(0) if self.manners else ("behave", False)
        fate = self._act(manner, sending.key)
        if late and self.world is not None:
            self.world.another_worker_goes_on(timedelta(minutes=2))
        return self._answer(manner, fate, sending.key)

    def pass_time(self, time: timedelta) -> None:
        self.clock += time
        for key, case in [each for each in self.cases.items() if each[1].until <= self.clock]:
            del self.cases[key]
            if case.succeeds:
                self._do(key, case.scope, case.reference)
            else:
                self.news.append(News(key, applied=False, reference=case.reference))

    def _do(self, key: str, scope: int, reference: str) -> None:
        self.effects.setdefault(key, []).append(Effect(scope, self.clock, reference))
        self.news.append(News(key, applied=True, reference=reference))

    def _act(self, manner: str, key: str) -> Fate:
        if manner in ("lose the request", "be away"):
            return "nothing"
        if self._processes(key):
            return "accepted"
        if self._remembers(key):
            return "done"
        if manner == "refuse" and not (self.effects.get(key) and self.declared.rejects_final):
            self.news.append(News(key, applied=False, reference=None))
            return "refused"
        reference = f"{key}#{len(self.news)}"
        if manner.startswith("accept"):
            until = self.clock + PROCESSING
            self.cases[key] = Case(self.scope, until, succeeds=manner == "accept", reference=reference)
            return "accepted"
        self._do(key, self.scope, reference)
        return "done"

    def _processes(self, key: str) -> bool:
        return key in self.cases and self.cases[key].scope == self.scope

    def _remembers(self, key: str) -> bool:
        here = [effect.at for effect in self.effects.get(key, []) if effect.scope == self.scope]
        if isinstance(self.declared.repeat, SameKey):
            return any(self.clock - at < LIFETIME for at in here)
        return bool(here) and isinstance(self.declared.repeat, Always)

    def _answer(self, manner: str, fate: Fate, key: str) -> Paid:
        if manner == "die after":
            raise SystemExit  # no Exception: nothing is recorded, as if the process had been killed
        if manner.startswith("lose"):
            raise ConnectionResetError
        if manner == "be away":
            raise NotReached("connection refused", code="not_reached")
        if fate == "refused":
            raise Rejected("no funds", code="no_funds")
        if fate == "accepted" and key in self.cases:
            raise Accepted("taken on", reference=self.cases[key].reference)
        if not self.effects.get(key):
            raise ConnectionResetError  # accepted, and refused before the late answer came
        return self.result(key)

    def result(self, key: str) -> Paid:
        return Paid(reference=self.effects[key][-1].reference, amount=AMOUNT)

    def ask(self, key: str) -> Paid | None:
        if (self.lookups.pop(0) if self.lookups else "look") == "look in vain":
            raise ConnectionResetError
        if self._processes(key):
            raise Accepted("still at it", reference=self.cases[key].reference)
        seen = [
            effect
            for effect in self.effects.get(key, [])
            if effect.scope == self.scope and self.clock - effect.at >= SETTLE
        ]
        return self.result(key) if seen else None

    def provider(self, name: str) -> tuple[Provider["Truth"], Operation["Truth", Pay, Paid]]:
        provider = Provider(name, lambda: self, scope=lambda: f"merchant-{self.scope}")
        terms: dict[str, Any] = {
            "repeat": self.declared.repeat,
            "timeout": timedelta(seconds=1),
            "rejects_final": self.declared.rejects_final,
            "expect_within": timedelta(hours=1),
            "value": lambda request: Money(request.amount, "EUR"),
            "ref": lambda paid: paid.reference,
        }

        @provider.operation(**terms)
        def refund(client: Truth, request: Refund, call: Sending) -> Paid:
            return client.take(call)

        @provider.operation(**terms)
        def pay(client: Truth, request: Pay, call: Sending) -> Paid:
            return client.take(call)

        pay.undone_by(refund, lambda request, paid: Refund(amount=request.amount))
        if self.declared.lookup != "none":
            authoritative = self.declared.lookup == "authoritative"
            for operation in (pay, refund):
                operation.found = Lookup(lambda client, _request, call: client.ask(call.key), authoritative, SETTLE)
        return provider, pay


@dataclass
class World:
    """One step of a flow, its provider, the people who look after it, and time."""

    truth: Truth
    ledger: Ledger
    other: Ledger
    pay: Operation[Truth, Pay, Paid]
    books: Books
    people: "psycopg.Connection[dict[str, Any]]"
    flow_id: UUID

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.books.engine, self.ledger)
        self.resolving = Resolving(self.books.engine, self.ledger, "worker")
        query = "INSERT INTO onceward.flow (id, name, key, input, state, due_at) VALUES (%s, 'walk', %s, '', 'waiting', NULL)"
        self.people.execute(query.encode(), (self.flow_id, str(self.flow_id)))

    def call(self) -> Any:
        with suppress(SystemExit):
            return self.ledger.call(self.pay, Pay(), flow=FlowStep(self.flow_id, "pay"))

    def work(self, ledger: Ledger) -> None:
        """Do what a worker does of itself."""
        self.evidence.handle()
        self.resolving.carry_out()
        with suppress(SystemExit):
            ledger.sweep(limit=4)

    def another_worker_goes_on(self, time: timedelta) -> None:
        self.let_pass(time)
        self.work(self.other)

    def let_pass(self, time: timedelta) -> None:
        self.truth.pass_time(time)
        self.books.pass_time(time)
        self.people.execute("SET session_replication_role = replica")  # evidence is final, but for a clock
        self.people.execute("UPDATE onceward.evidence SET at = at - %s, due_at = due_at - %s", (time, time))
        self.people.execute("RESET session_replication_role")

    def happen(self, event: str) -> None:
        match event:
            case "rotate":
                self.truth.scope += 1
            case "the caller repeats":
                self.call()
            case "a report":
                self._report(self.truth.news[-1:])
            case "an old report":
                self._report(self.truth.news[:1])
            case "a person says":
                self._say_the_truth()
            case "a new key":
                self._decide("new_key", "failed")
            case _:
                part = Decimal(3)
                self._decide("refund", "succeeded", amount=part, body={"request": {"amount": str(part)}})
        self.work(self.ledger)

    def _report(self, news: list[News]) -> None:
        for each in news:
            body = self.truth.result(each.key) if each.applied else b"refused"
            about: dict[str, Any] = {"key": each.key, "reference": each.reference, "applied": each.applied}
            with self.books.engine.begin() as connection:
                connection.execute(report(self.pay.provider, **about, body=body, evidence_id=uuid4()))

    def _say_the_truth(self) -> None:
        """Let people settle what is in doubt, by the provider's books. Of what it is still at they know nothing."""
        for call in self.calls():
            if call["state"] not in ("in_doubt", "accepted") or call["key"] in self.truth.cases:
                continue
            if not self.truth.effects.get(call["key"]):
                self._propose("not_applied", call)
                continue
            evidence = {"id": uuid4(), "call": call["id"], "kind": "statement", "says": "applied", "reference": "r"}
            calling(self.people, "add_evidence", **evidence, body=None, actor="ada")
            result = self.truth.result(call["key"]).model_dump(mode="json")
            self._propose("applied", call, body={"result": result}, evidence=evidence["id"])

    def _decide(self, verb: str, state: str, **more: Any) -> None:
        for call in self.calls():
            if call["state"] == state and call["operation"] == "pay":
                self._propose(verb, call, **more)

    def _propose(self, verb: str, call: dict[str, Any], **more: Any) -> None:
        """Let Ada decide and Bob agree; what is not possible now is refused."""
        given = {"id": uuid4(), "verb": verb, "subject": call["id"], "seen_version": call["version"], "reason": REASON}
        with suppress(psycopg.errors.ObjectNotInPrerequisiteState, psycopg.DatabaseError):
            decision = calling(self.people, "propose", **given, actor="ada", **more)
            if decision["state"] == "proposed":
                calling(self.people, "approve", id=given["id"], actor="bob", reason=REASON)

    def calls(self) -> list[dict[str, Any]]:
        query = "SELECT * FROM onceward.call WHERE flow_id = %s ORDER BY created_at"
        return self.people.execute(query.encode(), (self.flow_id,)).fetchall()

    def check(self) -> None:
        """What must hold at every moment."""
        paid, refunded = 0, Decimal(0)
        for call in self.calls():
            effects = len(self.truth.effects.get(call["key"], []))
            assert effects <= 1, "an effect came twice"
            if call["state"] == "succeeded":
                assert effects == 1, "recorded as done, but nothing was"
            elif call["state"] in ("failed", "pending", "cancelled"):
                assert effects == 0, f"recorded as {call['state']}, but it took effect"
                case = self.truth.cases.get(call["key"])
                assert case is None or not case.succeeds, f"recorded as {call['state']}, but it will take effect"
            if call["conflict_at"] is not None:
                assert any(not each.applied for each in self.truth.news if each.key == call["key"]), (
                    "nothing was refused"
                )
            if call["operation"] == "pay":
                paid += effects
            elif effects:
                refunded += call["amount"]
        assert paid <= 1, "it was paid twice, under two keys"
        assert refunded <= AMOUNT, "more was refunded than was paid"

    def check_end(self) -> None:
        """What must hold when the provider has behaved for long enough."""
        for call in self.calls():
            kinds = {kind for kind, _ in self.books.incidents(call["id"])} - {"conflict"}
            if call["settled_at"] is None:
                assert call["state"] in ("in_doubt", "accepted"), "with a provider that behaves, only doubt remains"
                assert kinds & {"in_doubt", "overdue"}, "and people know of it"
            else:
                assert kinds == set()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def people(database: Database) -> Iterator[Any]:
    with psycopg.connect(database.url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


LOST, REFUSED, ACCEPTED = ("lose the reply", False), ("refuse", False), ("accept", False)
VAIN, LATE_REFUSAL = ("accept in vain", False), ("refuse", True)
KEYED = Declared(SameKey(LIFETIME), "none", rejects_final=False)
ASKED = Declared(Never(), "authoritative", rejects_final=False)
ALONE = Declared(Never(), "none", rejects_final=False)
MINUTES = timedelta(minutes=7)


@example(declared=KEYED, bad=[LOST, REFUSED], lookups=[], steps=[MINUTES])
@example(declared=KEYED, bad=[LOST], lookups=[], steps=[timedelta(hours=30)])
@example(declared=ASKED, bad=[LOST], lookups=[], steps=[timedelta(seconds=20)])
@example(declared=ASKED, bad=[LOST], lookups=[], steps=["rotate", timedelta(hours=1)])
@example(declared=ALONE, bad=[LOST], lookups=[], steps=[MINUTES, "a person says", "a refund", "a refund", MINUTES])
@example(declared=ALONE, bad=[("lose the request", False)], lookups=[], steps=[MINUTES, "a person says", "a new key"])
@example(declared=ALONE, bad=[ACCEPTED], lookups=[], steps=[MINUTES, "a report"])
@example(declared=KEYED, bad=[VAIN], lookups=[], steps=[MINUTES, "a report", "a new key", MINUTES])
@example(
    declared=KEYED,
    bad=[LATE_REFUSAL, LOST],
    lookups=[],
    steps=["an old report", timedelta(seconds=20), "rotate", MINUTES],
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    declared=DECLARATIONS,
    bad=st.lists(st.tuples(st.sampled_from(MANNERS), st.booleans()), min_size=1, max_size=6),
    lookups=st.lists(st.sampled_from(LOOKUPS), max_size=3),
    steps=st.lists(STEPS, max_size=7),
)
def test_no_effect_comes_twice_and_no_verdict_is_wrong(
    database: Database,
    ledger_of: Make,
    books: Books,
    people: Any,
    numbers: Iterator[int],
    declared: Declared,
    bad: list[tuple[str, bool]],
    lookups: list[str],
    steps: list[timedelta | str],
) -> None:
    truth = Truth(declared, list(bad), list(lookups))
    provider, pay = truth.provider(f"bank-{next(numbers)}")
    world = World(truth, ledger_of(provider), ledger_of(provider, "other"), pay, books, people, uuid4())
    truth.world = world
    world.call()
    world.check()
    for step in steps:
        if isinstance(step, timedelta):
            world.let_pass(step)
            world.work(world.ledger)
        else:
            world.happen(step)
        world.check()
    for _ in range(len(truth.manners) + len(truth.lookups) + 8):
        world.let_pass(timedelta(minutes=10))
        world.work(world.ledger)
        world.check()
    world.check_end()
    last = max((call for call in world.calls() if call["operation"] == "pay"), key=lambda call: call["take"])
    outcome = world.call()
    assert isinstance(outcome, Succeeded) == (last["state"] == "succeeded")
    assert isinstance(outcome, Failed) == (last["state"] == "failed")
