"""The participants' own tables, in databases of their own."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Amount = Numeric(12, 2)


class PayerTable(DeclarativeBase):
    """A table of the payer's database."""


class Account(PayerTable):
    """Who pays. Its row is locked while a transfer is made, so that its transfers have an order."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(primary_key=True)
    transfers: Mapped[int] = mapped_column(default=0)


class Transfer(PayerTable):
    """A payment."""

    __tablename__ = "transfer"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    account: Mapped[str]
    number: Mapped[int]
    payee: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Amount)
    currency: Mapped[str]
    way: Mapped[str]
    state: Mapped[str] = mapped_column(default="requested")
    """requested, held, captured; at its end completed, refused (nothing of it is left) or refunded."""
    reason: Mapped[str | None]
    """Why it was refused."""
    told: Mapped[UUID | None]
    """Id of the message by which the payee learned that no money will come."""
    completions: Mapped[int] = mapped_column(default=0)
    """How often the message of its completion took effect. Nothing but the inbox keeps it at one."""


class PayeeTable(DeclarativeBase):
    """A table of the payee's database."""


class Receipt(PayeeTable):
    """Money that came in. Nothing but the flow's record keeps a transfer from having two."""

    __tablename__ = "receipt"
    id: Mapped[int] = mapped_column(primary_key=True)
    transfer_id: Mapped[UUID]
    payee: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Amount)
    currency: Mapped[str]
    reference: Mapped[str]
    booked_to: Mapped[int]
    """Account of the payee's own bookkeeping."""
