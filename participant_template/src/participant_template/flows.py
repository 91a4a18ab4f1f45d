"""Business processes that call the outside world, run again from the first line until they end."""

from datetime import timedelta
from uuid import UUID

from onceward import Flow, Listen, UndoFlow
from sqlalchemy.orm import Session

from .handlers import orders
from .messages import OrderPaid, OrderPlaced, StockDecided
from .models import Order, State
from .providers import Capture, Hold, capture, hold


def refused(session: Session, event: OrderPlaced, reason: str) -> None:
    """Note that the order came to nothing. Runs once all that the flow did outside is undone."""
    order = session.get_one(Order, event.order_id, with_for_update=True)
    order.state = State.REFUSED.value
    order.reason = reason


@orders.flow(
    "orders",
    OrderPlaced,
    key=lambda event: event.order_id,
    undone=refused,
    listen=[Listen("stock", StockDecided, key=lambda event: event.order_id)],
)
def payment(flow: Flow, event: OrderPlaced) -> None:
    """Hold the money, wait for the warehouse, take the money. What fails on the way is undone."""
    ref = str(event.order_id)
    held = flow.call(hold, Hold(order=ref, amount=event.amount, currency=event.currency), ref=ref)
    stock = flow.wait(StockDecided, expect_within=timedelta(hours=2))  # later, people are told; it waits on
    if not stock.reserved:
        raise UndoFlow("sold out")  # the hold is released, then `refused` runs
    money = Capture(hold_id=held.hold_id, amount=event.amount, currency=event.currency)
    captured = flow.call(capture, money, ref=ref, pivot=True)  # from here it only goes forward
    flow.transact(paid, event.order_id, captured.reference)
    flow.publish(OrderPaid(order_id=event.order_id, reference=captured.reference), topic="payments", key=event.order_id)


def paid(session: Session, order_id: UUID, reference: str) -> None:
    """Note the payment."""
    order = session.get_one(Order, order_id, with_for_update=True)
    order.state = State.PAID.value
    order.reference = reference
