"""The database that is examined, as its checks see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from onceward.sqlfiles import statement
from onceward_relay.config import SourceSettings


@dataclass(frozen=True, slots=True)
class Patient:
    """An open session with a database, in which each query is a transaction of its own."""

    source: SourceSettings
    connection: "psycopg.Connection[tuple[Any, ...]]"
    long: float
    """Seconds after which an open transaction, or a row without a relay, counts as old."""

    def rows(self, name: str, package: str = "onceward_relay.doctor") -> Sequence[tuple[Any, ...]]:
        """Run the statement `name` and return its rows. Nothing it sets outlives it: a pooler may stand between."""
        with self.connection.transaction():
            self.connection.execute("SET TRANSACTION READ ONLY")
            self.connection.execute("SET LOCAL statement_timeout = '20s'")
            self.connection.execute("SET LOCAL search_path = pg_catalog")
            self.connection.execute(
                "SET LOCAL enable_sort = off"
            )  # a sample is read by an index, not sorted out of all
            self.connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
            return self.connection.execute(statement(package, name)).fetchall()

    def row(self, name: str, package: str = "onceward_relay.doctor") -> tuple[Any, ...]:
        """Run the statement `name` and return its only row."""
        return self.rows(name, package)[0]

    @property
    def url(self) -> str:
        """The database's URL, also where the configuration has it in libpq's other form."""
        given = self.source.conninfo
        if "://" in given:
            return given
        parts = {name: str(value) for name, value in conninfo_to_dict(given).items()}
        user, password, dbname = (parts.pop(name, None) for name in ("user", "password", "dbname"))
        url = URL.create("postgresql", user, password, database=dbname, query=parts)
        return url.render_as_string(hide_password=False)

    @property
    def database(self) -> str:
        """The database's name, quoted for SQL."""
        return quoted(str(self.connection.info.dbname))

    @property
    def user(self) -> str:
        """The name of the logged-in role, quoted for SQL."""
        return quoted(str(self.connection.info.user))


def quoted(name: str) -> str:
    """Return an identifier for a command that a person copies."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text for a command that a person copies."""
    return "'" + text.replace("'", "''") + "'"
