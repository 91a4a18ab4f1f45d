"""The spine: outbox, relay, inbox, flows, ledger, incidents."""

from alembic import op

from onceward.migrations import script

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    # The driver's own connection: it takes many statements at once and reads no % or : as a placeholder.
    op.get_bind().connection.driver_connection.execute(script("0001_spine"))


def downgrade() -> None:
    msg = "the schema holds messages and calls that are not settled; drop it by hand if you mean it"
    raise NotImplementedError(msg)
