"""What a worker does, and what time does, without waiting for either."""

from uuid import UUID

from onceward.flows.runner import Runner
from onceward.ledger import Ledger
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from participant_template import flows  # noqa: F401 -- registers the flows
from participant_template.handlers import orders
from participant_template.models import Order


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
