"""The banks as providers: what each operation promises, and so what may be done when its answer is lost."""

# ruff: noqa: ARG001 -- every operation takes the client, the request and the attempt

from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel

from onceward.http import Client
from onceward.providers import Money, Never, Provider, SameKey, Sending
from onceward_relay.demo.settings import settings

TIMEOUT = timedelta(seconds=2)
SETTLE = timedelta(seconds=1)
"""After which bank B's lookups know of everything."""
SHOWN = ("reference", "account", "amount", "currency")


class Movement(BaseModel):
    """Money to be moved, or to be set aside for that."""

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
def hold(client: Client, request: Movement, call: Sending) -> Moved:
    """Set money of an account aside."""
    return client.post("/holds", call, returns=Moved, rejects={402})


@bank_a.operation(repeat=_DAY, timeout=TIMEOUT, rejects_final=True, value=_value, ref=_reference, show=SHOWN)
def release(client: Client, request: Movement, call: Sending) -> Moved:
    """Give back what is held."""
    return client.post("/releases", call, returns=Moved, rejects={402})


@bank_a.operation(repeat=_DAY, timeout=TIMEOUT, rejects_final=True, value=_value, ref=_reference, show=SHOWN)
def capture(client: Client, request: Movement, call: Sending) -> Moved:
    """Let what is held leave the bank."""
    return client.post("/captures", call, returns=Moved, rejects={402})


@bank_a.operation(repeat=_DAY, timeout=TIMEOUT, rejects_final=True, value=_value, ref=_reference, show=SHOWN)
def refund(client: Client, request: Movement, call: Sending) -> Moved:
    """Give back what has left the bank."""
    return client.post("/refunds", call, returns=Moved, rejects={402})


hold.undone_by(release, lambda request, _: request)
capture.undone_by(refund, lambda request, _: request)


@bank_b.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def reserve(client: Client, request: Movement, call: Sending) -> Moved:
    """Have the bank promise that it will take a credit. It knows no keys, but can be asked."""
    return client.post("/reservations", call, returns=Moved, rejects={402})


@reserve.lookup(authoritative=True, settle=SETTLE)
def find_reservation(client: Client, request: Movement, call: Sending) -> Moved | None:
    """Ask for the reservation of a reference."""
    return client.get(f"/reservations/by-reference/{request.reference}", call, returns=Moved, absent={404})


@bank_b.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def cancel(client: Client, request: Movement, call: Sending) -> Moved:
    """Give the promise back."""
    return client.post("/cancellations", call, returns=Moved, rejects={402})


@cancel.lookup(authoritative=True, settle=SETTLE)
def find_cancellation(client: Client, request: Movement, call: Sending) -> Moved | None:
    """Ask for the cancellation of a reference."""
    return client.get(f"/cancellations/by-reference/{request.reference}", call, returns=Moved, absent={404})


reserve.undone_by(cancel, lambda request, _: request)


@bank_b.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def credit(client: Client, request: Movement, call: Sending) -> Moved:
    """Give money to an account."""
    return client.post("/credits", call, returns=Moved, rejects={402})


@credit.lookup(authoritative=True, settle=SETTLE)
def find_credit(client: Client, request: Movement, call: Sending) -> Moved | None:
    """Ask for the credit of a reference."""
    return client.get(f"/credits/by-reference/{request.reference}", call, returns=Moved, absent={404})


@credit.check
def same_amount(request: Movement, found: Moved) -> str | None:
    """Compare what was credited with what was asked."""
    if found.amount == request.amount:
        return None
    return f"asked for {request.amount} {request.currency}, credited {found.amount}"


@old_gateway.operation(repeat=Never(), timeout=TIMEOUT, value=_value, ref=_reference, show=SHOWN)
def gateway_credit(client: Client, request: Movement, call: Sending) -> Moved:
    """Give money to an account through a gateway that knows no keys and cannot be asked: a lost answer stays lost."""
    return client.post("/gateway-credits", call, returns=Moved, rejects={402})
