"""`onceward console user`: the console's own users and, for all people, what they may do."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from getpass import getuser
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
from psycopg_pool import PoolTimeout

from onceward_relay.cli.options import Once, json_option, print_json, print_table
from onceward_relay.console.config import Settings, load
from onceward_relay.console.home import people
from onceward_relay.console.home.store import Home, upgrade
from onceward_relay.console.participants import pool_of
from onceward_relay.console.passwords import LEAST, hashed, problem

T = TypeVar("T")
ROLES = click.Choice(["viewer", "operator", "approver", "admin"])
config_option = click.option(
    "--config", "path", cls=Once, required=True, type=click.Path(path_type=Path), help="The console's TOML file."
)
at_option = click.option(
    "--at", cls=Once, default="*", show_default="all participants", help="At this participant only."
)


@click.group()
def user() -> None:
    """Say who may use the console.

    Passwords are asked for, or read from standard input; they are no arguments, which others can see.
    """


@user.command()
@click.argument("name")
@click.option("--role", cls=Once, required=True, type=ROLES, help="What the user may do.")
@at_option
@config_option
def add(name: str, role: str, at: str, path: Path) -> None:
    """Add a user of the console's own, for login = "local"."""
    settings = _loaded(path, at)

    async def work(home: Home) -> None:
        await people.add(home, name, _hash_of(name), [(at, role)], _actor())

    _at_home(settings, work)
    click.echo(f"{people.name_of(name)} is {role} at {_place(at)}")
    if settings.console.login != "local":
        click.echo(f"console.login is {settings.console.login}: passwords are not asked for", err=True)


@user.command("list")
@config_option
@json_option
def list_(path: Path, *, as_json: bool) -> None:
    """List people and what they may do."""
    found = _at_home(load(path), people.everybody)
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "from", "may", "enters"],
        [[row["name"], row["issuer"], _roles(row["roles"]), "no" if row["disabled_at"] else "yes"] for row in found],
        "There is nobody yet: onceward console user add",
    )


@user.command()
@click.argument("name")
@click.option("--give", cls=Once, type=ROLES, help="A role.")
@click.option("--take", cls=Once, type=ROLES, help="A role that the person has.")
@at_option
@config_option
def role(name: str, give: str | None, take: str | None, at: str, path: Path) -> None:
    """Give a person a role, or take one away. What was given here stays, whatever groups say."""
    if give is None and take is None:
        raise click.UsageError("say what to --give or to --take")

    async def work(home: Home) -> None:
        person = await people.named(home, name)
        if give is not None:
            await people.give_role(home, person["id"], at, give, _actor())
        if take is not None:
            await people.take_role(home, person["id"], at, take)

    _at_home(_loaded(path, at), work)
    done = [f"is {give}"] if give is not None else []
    done += [f"is {take} no more"] if take is not None else []
    click.echo(f"{people.name_of(name)} {' and '.join(done)} at {_place(at)}")


@user.command()
@click.argument("name")
@config_option
def disable(name: str, path: Path) -> None:
    """Let a person enter no more, at once."""

    async def work(home: Home) -> None:
        await people.disable(home, (await people.named(home, name))["id"])

    _at_home(load(path), work)
    click.echo(f"{people.name_of(name)} may not enter any more; sessions have ended, tokens do not count")


@user.command()
@click.argument("name")
@config_option
def enable(name: str, path: Path) -> None:
    """Let a person enter again."""

    async def work(home: Home) -> None:
        await people.enable(home, (await people.named(home, name))["id"])

    _at_home(load(path), work)
    click.echo(f"{people.name_of(name)} may enter again")


@user.command()
@click.argument("name")
@config_option
def password(name: str, path: Path) -> None:
    """Set a user's password. The user's sessions end."""

    async def work(home: Home) -> None:
        person = await people.named(home, name)
        if person["issuer"] != people.LOCAL:
            raise people.NotPossible(
                f"name: {person['name']} has no password here: who that is, {person['issuer']} says"
            )
        await people.set_password(home, person["id"], _hash_of(person["name"]))

    _at_home(load(path), work)
    click.echo(f"{people.name_of(name)} has another password; sessions have ended")


def _hash_of(name: str) -> str:
    """Ask for a password, or read it from standard input, and return its hash."""
    people.name_of(name)
    if sys.stdin.isatty():
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise people.NotPossible(f"password: give one of at least {LEAST} characters on standard input")
    if why := problem(text, name):
        raise people.NotPossible(f"password: {why}")
    return hashed(text)


def _loaded(path: Path, at: str) -> Settings:
    settings = load(path)
    names = [participant.name for participant in settings.participant]
    if at != "*" and at not in names:
        raise click.ClickException(f"--at: the console is not told of {at}; there are {', '.join(names)}, and *")
    return settings


def _at_home(settings: Settings, work: Callable[[Home], Awaitable[T]]) -> T:
    """Do something in the console's own database."""

    async def run() -> T:
        async with pool_of(settings.console.home_database, 1) as pool:
            return await work(Home(pool))

    try:
        upgrade(settings.console.home_database.conninfo)
        return asyncio.run(run())
    except people.NotPossible as error:
        raise click.ClickException(str(error)) from error
    except (psycopg.Error, PoolTimeout) as error:
        text = " ".join(str(error).split())
        raise click.ClickException(f"home database {settings.console.home_database.place}: {text}") from error


def _roles(roles: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['role']} at {_place(each['participant'])}" for each in roles) or "nothing"


def _place(at: str) -> str:
    return "all participants" if at == "*" else at


def _actor() -> str:
    return f"{getuser()}, on the command line"
