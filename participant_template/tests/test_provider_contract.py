"""What providers.py declares of the payment provider, held against it. Run this against the provider's sandbox too."""

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from onceward import Sending
from onceward.errors import Rejected
from onceward.testing import contradictions, examine
from pydantic import BaseModel

from participant_template.providers import Capture, Hold, HoldId, Payment, capture, hold, payments, refund, release

from .provider import PaymentProvider

AMOUNT, CURRENCY = Decimal("12.50"), "EUR"


def done(operation: Any, request: BaseModel) -> Any:
    """Have the provider do something, without the ledger."""
    sending = Sending(str(uuid4()), operation.body(request), time.monotonic() + 5, 5, fresh=True)
    return operation.run(payments.client, request, sending)


def to_hold() -> Hold:
    return Hold(order=str(uuid4()), amount=AMOUNT, currency=CURRENCY)


def to_release() -> HoldId:
    return HoldId(hold_id=done(hold, to_hold()).hold_id)


def to_capture() -> Capture:
    return Capture(hold_id=done(hold, to_hold()).hold_id, amount=AMOUNT, currency=CURRENCY)


def to_refund() -> Payment:
    return Payment(reference=done(capture, to_capture()).reference)


@pytest.mark.parametrize(
    "operation, request_of",
    [(hold, to_hold), (release, to_release), (capture, to_capture), (refund, to_refund)],
    ids=str,
)
def test_it_is_as_declared(provider: PaymentProvider, operation: Any, request_of: Callable[[], Any]) -> None:
    assert contradictions(examine(operation, request_of, patience=timedelta(0))) == []


def test_a_refusal_holds_no_money(provider: PaymentProvider) -> None:
    provider.refuses = True
    with pytest.raises(Rejected):
        done(hold, to_hold())
    assert provider.books == {}
