"""The payment of an order: once, whatever the provider does and wherever the worker dies."""

import os
import signal
import subprocess
import sys
from uuid import UUID

import pytest
from onceward import start
from onceward.flows.runner import Runner
from onceward.ledger import Ledger
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from participant_template.flows import payment
from participant_template.handlers import orders
from participant_template.messages import OrderPlaced
from participant_template.models import Order, State

from .provider import PaymentProvider


@pytest.fixture
def placed(database: Engine) -> UUID:
    """An order whose payment has been started, as the consumer does it."""
    with Session(database) as session, session.begin():
        order = Order(customer="Ada", amount="12.50", currency="EUR")
        session.add(order)
        session.flush()
        session.execute(start(payment, OrderPlaced(order_id=order.id, amount=order.amount, currency=order.currency)))
        return order.id


def work(database: Engine) -> None:
    """Do all that is due, as a worker does it."""
    ledger = Ledger(database, orders.name, orders.providers, worker="test")
    ledger.declare()
    runner = Runner(orders.flows, database, ledger, worker="test")
    while runner.run_once() or ledger.sweep():
        pass


def let_time_pass(database: Engine) -> None:
    """Make everything due that waits for its time, and end every lease."""
    with database.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET due_at = clock_timestamp() WHERE due_at IS NOT NULL"))
        connection.execute(text("UPDATE onceward.call SET due_at = clock_timestamp() WHERE due_at IS NOT NULL"))


def order_of(database: Engine, order_id: UUID) -> Order:
    with Session(database) as session:
        return session.get_one(Order, order_id)


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


@pytest.mark.parametrize(
    "point", ["flow.claimed", "call.recorded", "call.answered", "call.settled", "flow.step_recorded"]
)
def test_it_pays_once_wherever_the_worker_is_killed(
    database: Engine, provider: PaymentProvider, placed: UUID, point: str
) -> None:
    code = "from participant_template.settings import engine; from tests.test_flows import work; work(engine())"
    died = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONCEWARD_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    for _ in range(3):
        let_time_pass(database)
        work(database)
    assert order_of(database, placed).state == State.PAID
    assert [len(effects) for effects in provider.books.values()] == [1]
