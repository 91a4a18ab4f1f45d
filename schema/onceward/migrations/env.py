"""Alembic's environment, with a version table in the schema onceward, apart from that of the team's own migrations."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
# A schema change that waits for a lock makes everybody behind it wait: it gives up early, and the caller tries again.
connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
connection.execute(text("CREATE SCHEMA IF NOT EXISTS onceward"))  # before the version table, which stands in it
context.configure(connection=connection, version_table="schema_version", version_table_schema="onceward")
context.run_migrations()
