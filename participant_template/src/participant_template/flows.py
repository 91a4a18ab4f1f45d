"""Business processes that call the outside world, run again from the first line until they end."""

from uuid import UUID

from onceward import CallFailed, Flow
from sqlalchemy.orm import Session

from .handlers import orders
from .messages import OrderPaid, OrderPlaced
from .models import Order, State
from .providers import Charge, charge


@orders.flow("orders", OrderPlaced, key=lambda event: str(event.order_id))
def payment(flow: Flow, event: OrderPlaced) -> None:
    """Have the order paid, note it, and tell the others."""
    try:
        charged = flow.call(
            charge,
            Charge(order=str(event.order_id), amount=event.amount, currency=event.currency),
            ref=str(event.order_id),
        )
    except CallFailed:  # proven: the provider refused and has taken no money
        flow.transact(refused, event.order_id)
        return
    flow.transact(paid, event.order_id, charged.reference)
    flow.publish(OrderPaid(order_id=event.order_id, reference=charged.reference), topic="payments", key=event.order_id)


def paid(session: Session, order_id: UUID, reference: str) -> None:
    """Note the payment."""
    order = session.get_one(Order, order_id, with_for_update=True)
    order.state = State.PAID.value
    order.reference = reference


def refused(session: Session, order_id: UUID) -> None:
    """Note that there will be none."""
    session.get_one(Order, order_id, with_for_update=True).state = State.REFUSED.value
