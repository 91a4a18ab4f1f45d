"""The outside APIs that this service calls, and what each of them promises.

Read the provider's documentation before you change a word here: what may be sent twice follows from it.
"""

from datetime import timedelta
from decimal import Decimal

from onceward import Money, Provider, SameKey, Sending
from onceward.http import Client
from pydantic import BaseModel

from .settings import settings


class Charge(BaseModel):
    """The request of a payment."""

    order: str
    amount: Decimal
    currency: str


class Charged(BaseModel):
    """The provider's answer."""

    reference: str
    amount: Decimal


def _client() -> Client:
    return Client(str(settings().payments_url), bearer=settings().payments_token.get_secret_value)


payments = Provider("payments", _client, scope=lambda: settings().payments_account)


@payments.operation(
    # The provider keeps a key for 24 hours and answers again with what it answered first.
    repeat=SameKey(timedelta(hours=24), replays="successes"),
    value=lambda request: Money(request.amount, request.currency),
    ref=lambda charged: charged.reference,
    show=["order", "amount", "currency"],
)
def charge(client: Client, request: Charge, call: Sending) -> Charged:
    """Take the money for an order."""
    return client.post("/charges", call, returns=Charged, rejects={402, 422})


@charge.lookup(authoritative=True, settle=timedelta(seconds=30))
def find_charge(client: Client, request: Charge, call: Sending) -> Charged | None:
    """Ask what became of it."""
    return client.get(f"/charges/by-key/{call.key}", call, returns=Charged, absent={404})


@charge.check
def same_amount(request: Charge, found: Charged) -> str | None:
    """Compare what was charged with what was asked."""
    return None if found.amount == request.amount else f"asked for {request.amount}, charged {found.amount}"
