"""Installs and upgrades the schema `onceward` of a participant's database, and says whether it is as it should be.

Each revision is a folder of `.sql` files, run in the order of their names: by Alembic, with a version table of its own
(`onceward.schema_version`), or by anything that runs SQL (`sql`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from onceward.database import sqlalchemy_url
from onceward.errors import SchemaError
from onceward.sqlfiles import statement

HERE: Final = Path(__file__).parent
REVISIONS: Final = tuple(path.name for path in sorted(HERE.glob("[0-9]*_*")) if path.is_dir())
"""The folders of the revisions, oldest first. A revision's name begins with its number."""
NEWEST: Final = REVISIONS[-1].partition("_")[0]
_PATIENCE: Final = 20.0
"""Seconds for which a migration tries again to get its locks."""
_ALEMBIC: Final = Lock()
"""Alembic keeps its environment in global variables: one migration at a time in a process."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
_INSUFFICIENT_PRIVILEGE: Final = "42501"
_HEADER: Final = """\
-- The schema onceward, revision {}. Run it in one transaction. With psql: psql -1 -v ON_ERROR_STOP=1 -f FILE.
-- Flyway does so by itself; Liquibase with splitStatements:false.
"""
_NOT_INSTALLED: Final = "the schema onceward is not installed: onceward schema install"


def sql(since: str | None = None) -> str:
    """Return the schema as plain SQL, for psql, Flyway or Liquibase: all of it, or the revisions after `since`.

    It must run in one transaction.
    """
    parts = [_HEADER.format(NEWEST), statement(__name__, "begin")]
    for revision in REVISIONS:
        if since is None or _number(revision) > since:
            parts += [script(revision), _record(revision)]
    parts.append(statement(__name__, "end"))
    return "\n".join(parts)


def script(revision: str) -> str:
    """Return the SQL of one revision's folder."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((HERE / revision).glob("*.sql")))


def run(connection: Connection, many_statements: str) -> None:
    """Run SQL as it stands: no % and no : of it is a placeholder."""
    connection.exec_driver_sql(many_statements, execution_options={"no_parameters": True})


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

    The upgrade never waits longer than 200 ms for a lock, so that nobody waits behind it; it tries again for 20 s.

    Raises:
        SchemaError: there is no schema to upgrade, or one that this version of onceward does not know, or its locks
            could not be had.
        sqlalchemy.exc.DBAPIError: the database could not be reached, or refused.

    """
    found = revision_of(url)
    if found is None:
        raise SchemaError(_NOT_INSTALLED)
    if found > NEWEST:
        raise SchemaError(_not_the_newest(found))
    return found != NEWEST and _migrate(url)


def check(url: str) -> list[str]:
    """Return what is wrong with the database's schema, each with what to do; nothing if it is as it should be."""
    with _connect(url) as connection:
        found = _revision(connection)
        if found is None:
            return [_NOT_INSTALLED]
        if found != NEWEST:
            return [_not_the_newest(found)]
        actual = set(catalog(connection))
    expected = set((HERE / "catalog.txt").read_text(encoding="utf-8").splitlines())
    missing = [f"missing: {line}; restore it as `onceward schema sql` prints it" for line in sorted(expected - actual)]
    foreign = [
        f"not of onceward: {line}; remove it or move it to a schema of your own" for line in sorted(actual - expected)
    ]
    return missing + foreign


def refuse_other(connection: Connection) -> None:
    """Refuse a database whose schema this program cannot work with.

    Raises:
        SchemaError: the schema is missing or of another revision, or the role may not use it; says what to do.

    """
    try:
        found = _revision(connection)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        raise SchemaError("this role may not use the schema onceward: GRANT onceward_participant TO it") from None
    if found is None:
        raise SchemaError(_NOT_INSTALLED)
    if found != NEWEST:
        raise SchemaError(_not_the_newest(found))


def catalog(connection: Connection) -> Iterator[str]:
    """Yield a line for each thing in the schema, from tables to grants, and for each role."""
    connection.execute(text("SET LOCAL search_path = pg_catalog"))  # what is on it is printed without its schema
    yield from connection.execute(text(statement(__name__, "catalog"))).scalars()


def _migrate(url: str) -> bool:
    from alembic import command  # only who migrates needs Alembic
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with _ALEMBIC, _connect(url) as connection, connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return True
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() > deadline:
                raise SchemaError(
                    f"other transactions held what the schema needs for {_PATIENCE:.0f} s, nothing was changed;"
                    " try again when no long transaction is open (pg_stat_activity shows them)"
                ) from error
        time.sleep(0.2)  # those who waited behind us go first


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    address = sqlalchemy_url(url)
    if "connect_timeout" not in address.query:
        address = address.update_query_dict({"connect_timeout": "10"})
    engine = create_engine(address, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass('onceward.schema_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT max(version_num) FROM onceward.schema_version"))
    return found


def _not_the_newest(found: str) -> str:
    if found < NEWEST:
        return f"the schema onceward is at revision {found}, the newest is {NEWEST}: onceward schema upgrade"
    return f"the schema onceward is at revision {found}, newer than this program knows ({NEWEST}): upgrade onceward"


def _number(revision: str) -> str:
    return revision.partition("_")[0]


def _record(revision: str) -> str:
    if revision == REVISIONS[0]:
        change = "INSERT INTO onceward.schema_version VALUES ('{}');\n"
    else:
        change = "UPDATE onceward.schema_version SET version_num = '{}';\n"
    return change.format(_number(revision))
