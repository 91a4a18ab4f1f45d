"""The payment of an order: once, whatever the provider does."""

from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from participant_template.models import State

from .provider import PaymentProvider
from .work import let_time_pass, order_of, work


def test_an_order_is_paid_and_the_others_are_told(database: Engine, provider: PaymentProvider, placed: UUID) -> None:
    work(database)
    order = order_of(database, placed)
    assert (order.state, order.reference) == (State.PAID, "P1")
    with database.connect() as connection:
        assert connection.execute(text("SELECT topic, type FROM onceward.outbox")).all() == [
            ("payments", "orders.paid")
        ]


def test_a_refused_payment_refuses_the_order(database: Engine, provider: PaymentProvider, placed: UUID) -> None:
    provider.misbehave.append("refuse")
    work(database)
    assert order_of(database, placed).state == State.REFUSED
    assert provider.books == {}


@pytest.mark.parametrize("manner", ["lose", "break"])
def test_a_lost_answer_pays_once(database: Engine, provider: PaymentProvider, placed: UUID, manner: str) -> None:
    provider.misbehave.append(manner)
    work(database)
    assert order_of(database, placed).state == State.PLACED
    let_time_pass(database)
    work(database)
    assert order_of(database, placed).state == State.PAID
    assert [len(effects) for effects in provider.books.values()] == [1]
