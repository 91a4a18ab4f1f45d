"""Calls and flows in full: undo, waits, evidence, what people decide."""

from alembic import op

from onceward.migrations import run, script

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    run(op.get_bind(), script("0003_decisions"))


def downgrade() -> None:
    msg = "the schema holds messages and calls that are not settled; drop it by hand if you mean it"
    raise NotImplementedError(msg)
