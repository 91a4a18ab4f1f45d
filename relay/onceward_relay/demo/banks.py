"""The banks as providers: what each operation promises, and so what may be done when its answer is lost."""

# ruff: noqa: ARG001 -- every operation takes the client, the request and the attempt

from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel

from onceward.http import Client
from onceward.providers import Money, Never, Provider, SameKey, Sending
from onceward_relay.demo.settings import settings

TIMEOUT = timedelta(seconds=2)
SHOWN = ("reference", "account", "amount", "currency")


class Movement(BaseModel):
    """Money to be moved."""

    reference: str
    account: str
    amount: Decimal
    currency: str


class Moved(BaseModel):
    """The bank's confirmation."""

    id: str
    amount: Decimal
    currency: str


def _value(request: Movement) -> Money:
    return Money(request.amount, request.currency)


def _reference(moved: Moved) -> str:
    return moved.id


bank_a = Provider("bank-a", lambda: Client(settings().bank_a), scope=lambda: "demo")
bank_b = Provider("bank-b", lambda: Client(settings().bank_b), scope=lambda: "demo")
old_gateway = Provider("old-gateway", lambda: Client(settings().bank_b), scope=lambda: "demo")

# Bank A looks at the key before anything else, so its refusal of a key proves that the key has had no effect.
_DAY = SameKey(timedelta(hours=24), replays="successes")


@bank_a.operation(repeat=_DAY, timeout=TIMEOUT, rejects_final=True, value=_value, ref=_reference, show=SHOWN)
def debit(client: Client, request: Movement, call: Sending) -> Moved:
    """Take money from an account."""
    return client.post("/debits", call, returns=Moved, rejects={402})


@bank_a.operation(repeat=_DAY, timeout=TIMEOUT, rejects_final=True, value=_value, ref=_reference, show=SHOWN)
def refund(client: Client, request: Movement, call: Sending) -> Moved:
    """Give it back."""
    return client.post("/refunds", call, returns=Moved, rejects={402})


@bank_b.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def credit(client: Client, request: Movement, call: Sending) -> Moved:
    """Give money to an account. The bank knows no keys, but can be asked."""
    return client.post("/credits", call, returns=Moved, rejects={402})


@credit.lookup(authoritative=True, settle=timedelta(seconds=1))
def find_credit(client: Client, request: Movement, call: Sending) -> Moved | None:
    """Ask for the credit of a reference."""
    return client.get(f"/credits/by-reference/{request.reference}", call, returns=Moved, absent={404})


@old_gateway.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def gateway_credit(client: Client, request: Movement, call: Sending) -> Moved:
    """Give money to an account through a gateway that knows no keys and cannot be asked: a lost answer stays lost."""
    return client.post("/gateway-credits", call, returns=Moved, rejects={402})
