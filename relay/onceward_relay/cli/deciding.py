"""What commands share by which a person decides: who, why, and what becomes of it."""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from onceward.database import address, psycopg_url

F = TypeVar("F", bound=Callable[..., Any])

DENIED = frozenset({"42501", "55000", "OW001", "OW002", "OW004", "OW005"})
"""What a refusal says that is about the person or the state of things, and not about a slip of the keyboard."""

reason_option = click.option("--reason", required=True, help="Why; it goes into the audit.")
actor_option = click.option(
    "--actor",
    envvar="ONCEWARD_ACTOR",
    show_envvar=True,
    default=getpass.getuser,
    show_default="your login name",
    help="Who decides; it goes into the audit beside the database role.",
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries to do."""

    actor: str
    action: str
    kind: str
    """What it is about: call, flow, incident and so on."""
    subject: str
    reason: str = ""


def do(database: str, attempt: Attempt, function: str, **arguments: Any) -> DictRow:
    """Call a function of the schema by which people decide, in a transaction of its own, and return its row.

    Raises:
        click.ClickException: it was refused. If the person may not do it, or it is too late, the audit says so.

    """
    with deciding(database, attempt) as connection:
        return call(connection, function, **arguments)


@contextmanager
def deciding(database: str, attempt: Attempt) -> "Iterator[psycopg.Connection[DictRow]]":
    """Connect for a decision. A refusal is a message of one line, with what to do, and is recorded."""
    where = address(database)
    try:
        with psycopg.connect(psycopg_url(database), connect_timeout=10, row_factory=dict_row) as connection:
            yield connection
    except psycopg.errors.UndefinedFunction as error:
        raise click.ClickException(f"{where}: its schema onceward is too old: onceward schema upgrade") from error
    except psycopg.Error as error:
        text = _in_words(error)
        if error.sqlstate in DENIED:
            _record_denied(database, attempt, text)
        raise click.ClickException(f"{where}: {text}") from error


def call(connection: "psycopg.Connection[DictRow]", function: str, **arguments: Any) -> DictRow:
    """Call a function of the schema, with its arguments by name, and return its first row."""
    row = rows(connection, function, **arguments)[0]
    assert row is not None
    return row


def rows(connection: "psycopg.Connection[DictRow]", function: str, **arguments: Any) -> list[DictRow]:
    """Call a function of the schema, with its arguments by name, and return its rows."""
    given = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    named = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given]
    query = sql.SQL("SELECT * FROM onceward.{}({})").format(sql.Identifier(function), sql.SQL(", ").join(named))
    return connection.execute(query, given).fetchall()


def _in_words(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{error.diag.message_primary}; grant onceward_console to this role"
    parts = [error.diag.message_primary or " ".join(str(error).split()), error.diag.message_hint]
    return ". ".join(part for part in parts if part)


def _record_denied(database: str, attempt: Attempt, text: str) -> None:
    """Record the attempt in a transaction of its own: that of the attempt is gone."""
    denied = {
        "actor": attempt.actor,
        "action": attempt.action,
        "subject_kind": attempt.kind,
        "subject": attempt.subject,
        "reason": attempt.reason,
        "error": text,
    }
    try:
        with psycopg.connect(psycopg_url(database), connect_timeout=10, row_factory=dict_row) as connection:
            call(connection, "denied", **denied)
    except psycopg.Error as error:
        text = error.diag.message_primary or " ".join(str(error).split())
        click.echo(f"warning: that this was tried could not be recorded: {text}", err=True)
