"""A bank for the ledger's tests: code in this process with books of its own, told what to do with each request."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from onceward.errors import InProgress, NotReached, Rejected, Throttled
from onceward.providers import Money, Operation, Provider, Repeat, SameKey, Sending


class Pay(BaseModel):
    amount: Decimal = Decimal("5.00")
    to: str = "Ada"


class Paid(BaseModel):
    reference: str
    amount: Decimal


@dataclass
class Bank:
    """Its books, and what it does with the next requests: each a function of (bank, sending)."""

    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Effects for each (scope, key)."""
    sent: list[bytes] = field(default_factory=list)
    manners: list[Callable[["Bank", Sending], Paid]] = field(default_factory=list)
    lookups: list[Callable[["Bank", Sending], Paid | None]] = field(default_factory=list)
    scope: str = "merchant-17"
    replays: bool = True

    def take(self, sending: Sending) -> Paid:
        sending.check()
        self.sent.append(sending.body)
        return (self.manners.pop(0) if self.manners else behave)(self, sending)

    def ask(self, sending: Sending) -> Paid | None:
        return (self.lookups.pop(0) if self.lookups else find)(self, sending)

    def apply(self, sending: Sending) -> Paid:
        place = self.scope, sending.key
        if not (self.replays and self.effects[place]):
            self.effects[place] += 1
        return Paid(reference=f"ref-{sending.key[:8]}", amount=Pay.model_validate_json(sending.body).amount)

    @property
    def worst(self) -> int:
        """The most effects that any key has had, in whatever scopes."""
        by_key: Counter[str] = Counter()
        for (_, key), count in self.effects.items():
            by_key[key] += count
        return max(by_key.values(), default=0)


def behave(bank: Bank, sending: Sending) -> Paid:
    return bank.apply(sending)


def lose_the_reply(bank: Bank, sending: Sending) -> Paid:
    bank.apply(sending)
    raise ConnectionResetError


def lose_the_request(bank: Bank, sending: Sending) -> Paid:
    raise ConnectionResetError


def refuse(bank: Bank, sending: Sending) -> Paid:
    raise Rejected("no funds", code="no_funds", http_status=402)


def be_unreachable(bank: Bank, sending: Sending) -> Paid:
    raise NotReached("connection refused", code="not_reached")


def throttle(bank: Bank, sending: Sending) -> Paid:
    raise Throttled("too many", retry_after=timedelta(seconds=30), http_status=429)


def be_busy(bank: Bank, sending: Sending) -> Paid:
    bank.apply(sending)
    raise InProgress("still running", http_status=409)


def answer_nonsense(bank: Bank, sending: Sending) -> Any:
    bank.apply(sending)
    return {"reference": 1}


def pay_another_amount(bank: Bank, sending: Sending) -> Paid:
    return bank.apply(sending).model_copy(update={"amount": Decimal("4.00")})


def find(bank: Bank, sending: Sending) -> Paid | None:
    if any(key == sending.key and count for (_, key), count in bank.effects.items()):
        return Paid(reference=f"ref-{sending.key[:8]}", amount=Pay.model_validate_json(sending.body).amount)
    return None


def fail_to_look(bank: Bank, sending: Sending) -> Paid | None:
    raise ConnectionResetError


DAY = SameKey(timedelta(hours=24))


def provider_of(
    bank: Bank,
    repeat: Repeat = DAY,
    *,
    lookup: str = "none",
    check: bool = False,
    in_flight: int = 8,
    per_second: float | None = None,
    name: str = "bank",
    **declared: Any,
) -> tuple[Provider[Bank], Operation[Bank, Pay, Paid]]:
    """Declare the bank as a provider with one operation."""
    limits: dict[str, Any] = {"in_flight": in_flight, "per_second": per_second}
    provider = Provider(name, lambda: bank, scope=lambda: bank.scope, **limits)

    @provider.operation(
        repeat=repeat,
        timeout=timedelta(seconds=1),
        value=lambda request: Money(request.amount, "EUR"),
        ref=lambda paid: paid.reference,
        show=["amount"],
        **declared,
    )
    def pay(client: Bank, request: Pay, call: Sending) -> Paid:
        return client.take(call)

    if lookup != "none":

        @pay.lookup(authoritative=lookup == "authoritative", settle=timedelta(seconds=30))
        def find_payment(client: Bank, request: Pay, call: Sending) -> Paid | None:
            return client.ask(call)

    if check:

        @pay.check
        def same_amount(request: Pay, found: Paid) -> str | None:
            return None if request.amount == found.amount else f"{request.amount} became {found.amount}"

    return provider, pay
