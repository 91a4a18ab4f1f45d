"""What providers.py declares of the payment provider, held against it. Run this against the provider's sandbox too."""

import time

import pytest
from onceward import Sending
from onceward.errors import Rejected

from participant_template.providers import Charge, Charged, charge, find_charge, payments

from .provider import PaymentProvider

REQUEST = Charge(order="1", amount="12.50", currency="EUR")


def sending(key: str) -> Sending:
    return Sending(key, REQUEST.model_dump_json().encode(), time.monotonic() + 5, 5, fresh=True)


pytestmark = pytest.mark.usefixtures("database")  # whose settings lead to the provider


def test_a_key_replays_the_first_answer(provider: PaymentProvider) -> None:
    first, second = (charge.run(payments.client, REQUEST, sending("k")) for _ in range(2))
    assert first == second == Charged(reference="P1", amount="12.50")
    assert len(provider.books["k"]) == 1


def test_the_lookup_finds_an_effect_and_nothing_else(provider: PaymentProvider) -> None:
    charge.run(payments.client, REQUEST, sending("k"))
    assert find_charge(payments.client, REQUEST, sending("k")) == Charged(reference="P1", amount="12.50")
    assert find_charge(payments.client, REQUEST, sending("other")) is None


def test_a_refusal_takes_no_money(provider: PaymentProvider) -> None:
    provider.misbehave.append("refuse")
    with pytest.raises(Rejected):
        charge.run(payments.client, REQUEST, sending("k"))
    assert provider.books == {}
