"""Orders."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reference", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("parcel", sa.String()),
        sa.CheckConstraint("state IN ('placed', 'paid', 'refused', 'shipped')", name="orders_state"),
        sa.CheckConstraint("amount > 0", name="orders_amount"),
    )


def downgrade() -> None:
    op.drop_table("orders")
