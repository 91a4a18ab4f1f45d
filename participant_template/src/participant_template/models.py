"""The service's own tables. They live beside the schema `onceward` in the same database."""

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from onceward.ids import uuid7
from sqlalchemy import CheckConstraint, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class State(StrEnum):
    """Where an order stands."""

    PLACED = "placed"
    PAID = "paid"
    REFUSED = "refused"
    SHIPPED = "shipped"


class Base(DeclarativeBase):
    """The base of the service's tables."""


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("state IN ('placed', 'paid', 'refused', 'shipped')", name="orders_state"),
        CheckConstraint("amount > 0", name="orders_amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    customer: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(default=State.PLACED.value)
    reference: Mapped[str | None]
    """The payment's reference at the provider."""
    reason: Mapped[str | None]
    """Why it was refused."""
    parcel: Mapped[str | None]
