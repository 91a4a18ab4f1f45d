"""What screens ask for: lists, searches, statements."""

from alembic import op

from onceward.migrations import run, script

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    run(op.get_bind(), script("0004_console"))


def downgrade() -> None:
    msg = "the schema holds messages and calls that are not settled; drop it by hand if you mean it"
    raise NotImplementedError(msg)
