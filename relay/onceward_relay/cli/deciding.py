"""What commands share by which a person decides: who, why, and what becomes of it."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from onceward.database import address, psycopg_url
from onceward_relay.people.deciding import DENIED, Attempt, calling, in_words
from onceward_relay.people.words import inert

PATIENCE = timedelta(seconds=20)
"""How long a decision waits for another one, or for a worker."""

reason_option = click.option("--reason", required=True, help="Why; it goes into the audit.")
actor_option = click.option(
    "--actor",
    envvar="ONCEWARD_ACTOR",
    show_envvar=True,
    default=getpass.getuser,
    show_default="your login name",
    help="Who decides; it goes into the audit beside the database role.",
)


class Functions:
    """The functions of the schema by which people decide."""

    def __init__(self, connection: "psycopg.Connection[DictRow]") -> None:
        self.connection = connection

    def call(self, function: str, **arguments: Any) -> DictRow:
        """Call a function with its arguments by name and return its first row."""
        return self.rows(function, **arguments)[0]

    def rows(self, function: str, **arguments: Any) -> list[DictRow]:
        """Call a function with its arguments by name and return its rows."""
        return self.connection.execute(*calling(function, **arguments)).fetchall()


class Desk:
    """A connection over which somebody decides, one thing after the other."""

    def __init__(self, where: str, connection: "psycopg.Connection[DictRow]") -> None:
        self._where = where
        self._functions = Functions(connection)

    def do(self, attempt: Attempt, function: str, **arguments: Any) -> DictRow:
        """Call a function in a transaction of its own and return its row.

        Raises:
            click.ClickException: it was refused. If the person may not do it, or it is too late, the audit says so.

        """
        with self.attempting(attempt) as functions:
            return functions.call(function, **arguments)

    @contextmanager
    def attempting(self, attempt: Attempt) -> Iterator[Functions]:
        """Begin a transaction. A refusal is a message of one line, with what to do, and is recorded in another one."""
        try:
            with self._functions.connection.transaction():
                yield self._functions
        except psycopg.Error as error:
            text = in_words(error)
            if error.sqlstate in DENIED:
                self._record_denied(attempt, text)
            raise click.ClickException(f"{self._where}: {inert(text)}") from error

    def _record_denied(self, attempt: Attempt, text: str) -> None:
        tried = {"actor": attempt.actor, "action": attempt.action, "reason": attempt.reason, "error": text}
        try:
            self._functions.call("denied", subject_kind=attempt.kind, subject=attempt.subject, **tried)
        except psycopg.Error as error:
            click.echo(f"warning: that this was tried could not be recorded: {inert(in_words(error))}", err=True)


@contextmanager
def deciding(database: str) -> Iterator[Desk]:
    """Connect for decisions."""
    where = address(database)
    try:
        with psycopg.connect(
            psycopg_url(database), connect_timeout=10, row_factory=dict_row, autocommit=True
        ) as connection:
            connection.execute(sql.SQL("SET lock_timeout = {}").format(PATIENCE // timedelta(milliseconds=1)))
            yield Desk(where, connection)
    except psycopg.Error as error:
        raise click.ClickException(f"{where}: {inert(in_words(error))}") from error


def do(database: str, attempt: Attempt, function: str, **arguments: Any) -> DictRow:
    """Call a function by which people decide, in a transaction of its own, and return its row.

    Raises:
        click.ClickException: it was refused. If the person may not do it, or it is too late, the audit says so.

    """
    with deciding(database) as desk:
        return desk.do(attempt, function, **arguments)
