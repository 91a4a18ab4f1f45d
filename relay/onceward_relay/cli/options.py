"""Options and output that the subcommands share."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
import psycopg
from click.core import ParameterSource
from psycopg.rows import DictRow, dict_row
from rich.console import Console
from rich.table import Column, Table

from onceward.database import address, psycopg_url, sqlalchemy_url
from onceward.errors import ConfigError
from onceward.sqlfiles import statement
from onceward_relay.people.words import inert


class Once(click.Option):
    """An option that says what a command works on: a second one is refused, where the last would win in silence."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser keep every value that is given."""
        del ctx
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Take the only value.

        Raises:
            BadOptionUsage: there is more than one.

        """
        values = opts.get(self.name or "")
        if not isinstance(values, list):
            return super().consume_value(ctx, opts)
        if len(values) > 1:
            raise click.BadOptionUsage(self.opts[0], f"{self.opts[0]} can be given only once here", ctx)
        return super().consume_value(ctx, {**opts, self.name or "": values[0]})


def checked_url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no URL of a PostgreSQL database, and warn of a password that everybody on this machine can see."""
    if value is not None:
        _check_url(context, parameter, value)
    return value


def checked_urls(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Do the same with each URL of an option that can be given more than once."""
    for value in values:
        _check_url(context, parameter, value)
    return values


def _check_url(context: click.Context, parameter: click.Parameter, value: str) -> None:
    try:
        url = sqlalchemy_url(psycopg_url(value))
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error
    assert parameter.name is not None
    typed = context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    if typed and (url.password or "password" in url.query):
        click.echo(f"warning: others can see the password in {parameter.opts[0]}; set PGPASSWORD instead", err=True)


database_option = click.option(
    "--database",
    cls=Once,
    envvar="ONCEWARD_DATABASE",
    show_envvar=True,
    required=True,
    callback=checked_url,
    metavar="URL",
    help="postgresql:// URL. A password belongs into PGPASSWORD, for others can see arguments.",
)
PATIENCE = 20.0
"""Seconds for which a decision waits for locks: relays look in now and then, publishers come and go."""
WIDTH_OF_FILES = 320
"""Columns of what is printed to something else than a terminal."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
limit_option = click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)


@contextmanager
def connected(database: str, *, writing: bool = False) -> Iterator[psycopg.Connection[DictRow]]:
    """Connect for reading, or for `writing`. A database that refuses is a message of one line."""
    try:
        with psycopg.connect(psycopg_url(database), row_factory=dict_row, connect_timeout=10) as connection:
            connection.read_only = not writing
            yield connection
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise click.ClickException(f"{address(database)}: has no schema onceward: onceward schema install") from error
    except psycopg.errors.UndefinedFunction as error:
        raise click.ClickException(
            f"{address(database)}: its schema onceward is too old: onceward schema upgrade"
        ) from error
    except psycopg.Error as error:
        text = error.diag.message_primary or str(error)
        raise click.ClickException(f"{address(database)}: {inert(' '.join(text.split()))}") from error


def decide(database: str, name: str, decision: dict[str, Any], *passing: type[psycopg.Error]) -> dict[str, Any]:
    """Let a person's decision take effect: run the statement `name`, again while it meets one of `passing`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with connected(database, writing=True) as connection:
                row = connection.execute(statement("onceward_relay", name), decision).fetchone()
                assert row is not None
                done: dict[str, Any] = row["done"]
            return done
        except click.ClickException as error:
            if time.monotonic() >= deadline or not isinstance(error.__cause__, passing):
                raise
        time.sleep(0.2)  # others who waited behind us go first


def print_json(document: object) -> None:
    """Print `document`; times as ISO 8601, amounts as text, bytes as text where they are."""
    click.echo(json.dumps(document, default=_plain, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Print `rows`, inert and whole: what is too wide is folded, never cut. Without rows print `empty`."""
    table = Table(*(Column(heading, overflow="fold") for heading in headings), box=None)
    for row in rows:
        table.add_row(*map(inert, row))
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    console.print(table if rows else empty)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    raise TypeError(type(value).__name__)
