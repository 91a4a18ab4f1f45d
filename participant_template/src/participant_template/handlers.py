"""Messages that change our own database and nothing else. Each handler runs in one transaction with the inbox row."""

from onceward import Participant
from sqlalchemy.orm import Session

from .messages import OrderShipped
from .models import Order, State
from .providers import payments

orders = Participant("orders", providers=[payments])


@orders.on("shipments", OrderShipped)
def shipped(session: Session, event: OrderShipped) -> None:
    """Note the parcel. A message about an order that we do not know fails, is parked, and is tried again."""
    order = session.get_one(Order, event.order_id, with_for_update=True)
    order.state = State.SHIPPED.value
    order.parcel = event.parcel
