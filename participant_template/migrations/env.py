"""Migrations of the service's own tables. The schema `onceward` has its own: `onceward schema upgrade`."""

from alembic import context

from participant_template.models import Base
from participant_template.settings import engine


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the schema onceward out of autogenerate."""
    return kind != "schema" or name != "onceward"


with engine().connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, include_schemas=False, include_name=ours)
    with context.begin_transaction():
        context.run_migrations()
