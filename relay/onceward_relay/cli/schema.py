"""`onceward schema`: installs and upgrades the schema of a participant's database."""

import json
from collections.abc import Callable
from typing import TypeVar

import click
from sqlalchemy.exc import DBAPIError

from onceward import migrations
from onceward.database import address
from onceward_relay.cli.options import Once, checked_url, database_option

R = TypeVar("R")


@click.group()
def schema() -> None:
    """Install and upgrade the schema of a participant's database.

    Who installs must be allowed to create roles and to create schemas in the database. Exit status: 0 done, or all is
    well; 1 it is not, or the database refused or could not be reached; 2 the command line is wrong.
    """


@schema.command()
@database_option
def install(database: str) -> None:
    """Install the schema. Does nothing if the newest is there already."""
    done = _asked(migrations.install, database)
    click.echo(f"schema onceward {'installed' if done else 'is installed already'}: revision {migrations.NEWEST}")


@schema.command()
@database_option
def upgrade(database: str) -> None:
    """Upgrade the schema to the newest revision. Nobody waits for it longer than 200 ms."""
    done = _asked(migrations.upgrade, database)
    click.echo(f"schema onceward {'upgraded to' if done else 'is at the newest'} revision {migrations.NEWEST}")


@schema.command()
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(database: str, *, as_json: bool) -> None:
    """Say whether the schema is as it should be, and what to do if not. Exit status 1 if it is not."""
    problems = _asked(migrations.check, database)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "newest": migrations.NEWEST, "problems": problems}))
    else:
        click.echo("\n".join(problems) or f"ok: revision {migrations.NEWEST}")
    raise SystemExit(1 if problems else 0)


@schema.command()
@click.option("--database", cls=Once, callback=checked_url, metavar="URL", help="Only what this database lacks.")
def sql(database: str | None) -> None:
    """Print the whole schema as plain SQL, for psql -1, Flyway or Liquibase. Needs no database."""
    click.echo(migrations.sql(None if database is None else _asked(migrations.revision_of, database)), nl=False)


def _asked(action: Callable[[str], R], database: str) -> R:
    try:
        return action(database)
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise click.ClickException(f"{address(database)}: {reason}") from error
