"""The spine: outbox, relay, inbox, flows, ledger, incidents."""

from alembic import op

from onceward.migrations import run, script

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    run(op.get_bind(), script("0001_spine"))


def downgrade() -> None:
    msg = "the schema holds messages and calls that are not settled; drop it by hand if you mean it"
    raise NotImplementedError(msg)
