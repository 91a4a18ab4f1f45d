"""The outside APIs that this service calls, and what each of them promises.

Read the provider's documentation before you change a word here: what may be sent twice follows from it.
"""

from datetime import timedelta
from decimal import Decimal

from onceward import Money, Provider, SameKey, Sending
from onceward.http import Client
from pydantic import BaseModel

from .settings import settings


class Hold(BaseModel):
    """Money that is to be set aside for an order."""

    order: str
    amount: Decimal
    currency: str


class Held(BaseModel):
    """What is set aside."""

    hold_id: str
    amount: Decimal


class HoldId(BaseModel):
    """Names what is set aside."""

    hold_id: str


class Capture(BaseModel):
    """Money that is to be taken of what is set aside."""

    hold_id: str
    amount: Decimal
    currency: str


class Payment(BaseModel):
    """Names money that was taken, or given back."""

    reference: str


def _client() -> Client:
    return Client(str(settings().payments_url), bearer=settings().payments_token.get_secret_value)


payments = Provider("payments", _client, scope=lambda: settings().payments_account)


# The provider keeps a key for 24 hours and answers again with what it answered first, if that was a success.
KEEPS = SameKey(timedelta(hours=24), replays="successes")


@payments.operation(
    repeat=KEEPS,
    value=lambda request: Money(request.amount, request.currency),
    ref=lambda held: held.hold_id,
    show=["order", "amount", "currency"],
)
def hold(client: Client, request: Hold, call: Sending) -> Held:
    """Set money aside."""
    return client.post("/holds", call, returns=Held, rejects={402, 422})


@hold.check
def same_amount(request: Hold, held: Held) -> str | None:
    """Compare what was set aside with what was asked."""
    return None if held.amount == request.amount else f"asked for {request.amount}, held {held.amount}"


@payments.operation(repeat=KEEPS, ref=lambda held: held.hold_id, show=["hold_id"])
def release(client: Client, request: HoldId, call: Sending) -> HoldId:
    """Give back what is set aside."""
    return client.post("/releases", call, returns=HoldId, rejects={422})


@payments.operation(
    repeat=KEEPS,
    value=lambda request: Money(request.amount, request.currency),
    ref=lambda payment: payment.reference,
    show=["hold_id", "amount", "currency"],
)
def capture(client: Client, request: Capture, call: Sending) -> Payment:
    """Take the money that is set aside."""
    return client.post("/captures", call, returns=Payment, rejects={422})


@capture.lookup(authoritative=True, settle=timedelta(seconds=30))
def find_capture(client: Client, request: Capture, call: Sending) -> Payment | None:
    """Ask what became of it, where the key cannot be sent again any more."""
    return client.get(f"/captures/by-key/{call.key_in_path}", call, returns=Payment, absent={404})


@payments.operation(repeat=KEEPS, ref=lambda payment: payment.reference, show=["reference"])
def refund(client: Client, request: Payment, call: Sending) -> Payment:
    """Give back what was taken."""
    return client.post("/refunds", call, returns=Payment, rejects={422})


hold.undone_by(release, lambda _, held: HoldId(hold_id=held.hold_id))
capture.undone_by(refund, lambda _, payment: payment)
