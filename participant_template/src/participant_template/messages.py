"""The messages of this service: what it tells the others, and what it listens to."""

from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, Field


class OrderPlaced(BaseModel):
    """A customer has placed an order. Ours, topic `orders`, key: the order."""

    event_type: ClassVar[str] = "orders.placed"
    order_id: UUID
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)
    currency: str = Field(pattern="^[A-Z]{3}$")


class StockDecided(BaseModel):
    """The warehouse has put the order aside, or has not got it. Theirs, topic `stock`, key: the order."""

    event_type: ClassVar[str] = "warehouse.stock_decided"
    order_id: UUID
    reserved: bool


class OrderPaid(BaseModel):
    """The order is paid. Ours, topic `payments`, key: the order."""

    event_type: ClassVar[str] = "orders.paid"
    order_id: UUID
    reference: str


class OrderShipped(BaseModel):
    """The warehouse has shipped the order. Theirs, topic `shipments`, key: the order."""

    event_type: ClassVar[str] = "warehouse.shipped"
    order_id: UUID
    parcel: str
