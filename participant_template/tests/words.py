"""What the tests of the payment say and hear."""

from decimal import Decimal
from uuid import UUID

from onceward.testing import Bench

from participant_template.messages import OrderPlaced, StockDecided
from participant_template.models import Order
from participant_template.providers import Held, Payment

PLACED = OrderPlaced(order_id=UUID(int=1), amount=Decimal("12.50"), currency="EUR")
"""Of the order that every test database has."""
IN_STOCK = StockDecided(order_id=PLACED.order_id, reserved=True)
SOLD_OUT = StockDecided(order_id=PLACED.order_id, reserved=False)
HELD = Held(hold_id="H1", amount=PLACED.amount)
PAYMENT = Payment(reference="P1")


def order_of(bench: Bench) -> Order:
    """Return the order as the last run left it."""
    with bench.session() as session:
        return session.get_one(Order, PLACED.order_id)
