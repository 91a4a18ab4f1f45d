"""Installs and upgrades the schema `onceward` of a participant's database, and says whether it is as it should be.

Each revision is a folder of `.sql` files, run in the order of their names: by Alembic, with a version table of its own
(`onceward.schema_version`), or by anything that runs SQL (`sql`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from onceward.database import sqlalchemy_url
from onceward.errors import SchemaError

HERE: Final = Path(__file__).parent
REVISIONS: Final = tuple(path.name for path in sorted(HERE.glob("[0-9]*_*")) if path.is_dir())
"""The folders of the revisions, oldest first. A revision's name begins with its number."""
NEWEST: Final = REVISIONS[-1].partition("_")[0]
_TRIES: Final = 50
_VERSION_TABLE: Final = """\
CREATE SCHEMA IF NOT EXISTS onceward;
CREATE TABLE IF NOT EXISTS onceward.schema_version (
  version_num varchar(32) NOT NULL,
  CONSTRAINT schema_version_pkc PRIMARY KEY (version_num)
);
"""


def script(revision: str) -> str:
    """Return the SQL of one revision's folder."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((HERE / revision).glob("*.sql")))


def sql() -> str:
    """Return the whole schema as plain SQL, for psql, Flyway or Liquibase. Run it in one transaction."""
    parts = [_VERSION_TABLE]
    for revision in REVISIONS:
        parts += [script(revision), _record(revision)]
    return "\n".join(parts)


def revision_of(url: str) -> str | None:
    """Return the revision of the database's schema; None if it has none."""
    with _connect(url) as connection:
        return _revision(connection)


def install(url: str) -> bool:
    """Install the schema. Return False if the newest is there already.

    Raises:
        SchemaError: another revision is there.
        sqlalchemy.exc.DBAPIError: the database could not be reached, or refused.

    """
    found = revision_of(url)
    if found is not None and found != NEWEST:
        raise SchemaError(_not_the_newest(found))
    return found is None and _migrate(url)


def upgrade(url: str) -> bool:
    """Upgrade the schema to the newest revision. Return False if it is there already.

    The upgrade never waits longer than 200 ms for a lock, so that nobody waits behind it; it tries again for seconds.

    Raises:
        SchemaError: there is no schema to upgrade, or one that this version of onceward does not know.
        sqlalchemy.exc.DBAPIError: the database could not be reached, or refused.

    """
    found = revision_of(url)
    if found is None:
        raise SchemaError("the schema onceward is not installed: onceward schema install")
    if found > NEWEST:
        raise SchemaError(_not_the_newest(found))
    return found != NEWEST and _migrate(url)


def check(url: str) -> list[str]:
    """Return what is wrong with the database's schema, each with what to do; nothing if it is as it should be."""
    with _connect(url) as connection:
        found = _revision(connection)
        if found is None:
            return ["the schema onceward is not installed: onceward schema install"]
        if found != NEWEST:
            return [_not_the_newest(found)]
        actual = set(catalog(connection))
    expected = set((HERE / "catalog.txt").read_text(encoding="utf-8").splitlines())
    missing = [f"missing: {line}; restore it as `onceward schema sql` prints it" for line in sorted(expected - actual)]
    foreign = [
        f"not of onceward: {line}; remove it or move it to a schema of your own" for line in sorted(actual - expected)
    ]
    return missing + foreign


def catalog(connection: Connection) -> Iterator[str]:
    """Yield a line for each thing in the schema, from tables to grants, and for each role."""
    yield from connection.execute(text((HERE / "catalog.sql").read_text(encoding="utf-8"))).scalars()


def _migrate(url: str) -> bool:
    from alembic import command  # only who migrates needs Alembic
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    for left in reversed(range(_TRIES)):
        try:
            with _connect(url) as connection, connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return True
        except OperationalError as error:
            if left == 0 or getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            time.sleep(0.2)
    raise AssertionError("unreachable")


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass('onceward.schema_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM onceward.schema_version"))
    return found


def _not_the_newest(found: str) -> str:
    if found < NEWEST:
        return f"the schema onceward is at revision {found}, the newest is {NEWEST}: onceward schema upgrade"
    return f"the schema onceward is at revision {found}, newer than this program knows ({NEWEST}): upgrade onceward"


def _record(revision: str) -> str:
    if revision == REVISIONS[0]:
        change = "INSERT INTO onceward.schema_version VALUES ('{}');\n"
    else:
        change = "UPDATE onceward.schema_version SET version_num = '{}';\n"
    return change.format(revision.partition("_")[0])
