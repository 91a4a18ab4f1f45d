"""Relays in production: audit, releases of holds, rotation."""

from alembic import op

from onceward.migrations import run, script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    run(op.get_bind(), script("0002_production"))


def downgrade() -> None:
    msg = "the schema holds messages and calls that are not settled; drop it by hand if you mean it"
    raise NotImplementedError(msg)
