"""What the two participants tell each other over Kafka."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from onceward_relay.demo.settings import run_name

TRANSFERS = f"{run_name()}.transfers"
CREDITS = f"{run_name()}.credits"
DECISIONS = f"{run_name()}.decisions"
OUTCOMES = f"{run_name()}.outcomes"
TOPICS = (TRANSFERS, CREDITS, DECISIONS, OUTCOMES)

Way = Literal["direct", "gateway"]
"""How the payee's bank is reached: by its API, or by an old gateway that knows neither keys nor lookups."""


class TransferRequested(BaseModel):
    """An account of the payer's is to pay."""

    transfer_id: UUID
    account: str
    number: int
    """Of the account's transfers, in their order."""
    payee: str
    amount: Decimal
    currency: str
    way: Way


class CreditRequested(BaseModel):
    """The money is set aside, and the payee is asked whether it takes it."""

    transfer_id: UUID
    account: str
    payee: str
    amount: Decimal
    currency: str
    way: Way


class CreditDecided(BaseModel):
    """The payee will take the money, or not."""

    transfer_id: UUID
    accepted: bool
    reason: str


class TransferSettled(BaseModel):
    """The money has left the payer's bank and can be credited; or it never will."""

    transfer_id: UUID
    captured: bool


class TransferCompleted(BaseModel):
    """The payee has got the money."""

    transfer_id: UUID
    reference: str


class TransferReturned(BaseModel):
    """The payee's bank refused the money after all: it is to be given back."""

    transfer_id: UUID
    account: str
    amount: Decimal
    currency: str
    reason: str
