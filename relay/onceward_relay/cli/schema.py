"""`onceward schema`: installs and upgrades the schema of a participant's database."""

import json
from collections.abc import Callable
from typing import TypeVar

import click
from sqlalchemy.exc import DBAPIError

from onceward import migrations
from onceward.database import sqlalchemy_url

R = TypeVar("R")
database_option = click.option(
    "--database",
    envvar="ONCEWARD_DATABASE",
    required=True,
    metavar="URL",
    help="postgresql:// URL. With a password in it, better given as ONCEWARD_DATABASE: others can see arguments.",
)


@click.group()
def schema() -> None:
    """Install and upgrade the schema of a participant's database."""


@schema.command()
@database_option
def install(database: str) -> None:
    """Install the schema. Does nothing if the newest is there already."""
    done = _reached(database, migrations.install)
    click.echo(f"schema onceward {'installed' if done else 'is installed already'}: revision {migrations.NEWEST}")


@schema.command()
@database_option
def upgrade(database: str) -> None:
    """Upgrade the schema to the newest revision."""
    done = _reached(database, migrations.upgrade)
    click.echo(f"schema onceward {'upgraded to' if done else 'is at the newest'} revision {migrations.NEWEST}")


@schema.command()
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(database: str, *, as_json: bool) -> None:
    """Say whether the schema is as it should be, and what to do if not. Exit status 1 if it is not."""
    problems = _reached(database, migrations.check)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "newest": migrations.NEWEST, "problems": problems}))
    else:
        click.echo("\n".join(problems) or f"ok: revision {migrations.NEWEST}")
    raise SystemExit(1 if problems else 0)


@schema.command()
@click.option(
    "--database", metavar="URL", hidden=True, help="Not needed; taken so that the four commands have one form."
)
def sql(database: str | None) -> None:  # noqa: ARG001 -- see its help
    """Print the whole schema as plain SQL, for psql -1, Flyway or Liquibase."""
    click.echo(migrations.sql())


def _reached(database: str, action: Callable[[str], R]) -> R:
    try:
        return action(database)
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise click.ClickException(f"{sqlalchemy_url(database).render_as_string()}: {reason}") from error
