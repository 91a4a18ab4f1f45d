"""Alembic's environment. Its version table stands in the schema onceward, apart from the team's own migrations."""

from alembic import context
from sqlalchemy import text

from onceward.migrations import run
from onceward.sqlfiles import statement

connection = context.config.attributes["connection"]
# A schema change that waits for a lock makes everybody behind it wait: it gives up early, and the caller tries again.
connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
run(connection, statement("onceward.migrations", "begin"))  # the version table must be there before the revisions
context.configure(connection=connection, version_table="schema_version", version_table_schema="onceward")
context.run_migrations()
