"""`onceward relay replay`: send again what was sent before; `onceward relay keep`: how long that is possible."""

import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from psycopg.errors import LockNotAvailable

from onceward.database import address
from onceward.errors import ConfigError
from onceward.sqlfiles import statement
from onceward_relay.cli.options import (
    Once,
    checked_url,
    connected,
    database_option,
    decide,
    json_option,
    print_json,
    print_table,
)
from onceward_relay.cli.sources import given, loaded
from onceward_relay.cli.times import moment, span
from onceward_relay.people.words import inert

F = TypeVar("F", bound=Callable[..., Any])


def key_bytes(text: str) -> bytes:
    r"""Return the bytes of a key: of a text, or as PostgreSQL writes them, \x6b31."""
    try:
        return bytes.fromhex(text[2:]) if text.startswith("\\x") else text.encode()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no hexadecimal number") from None


def decision(command: F) -> F:
    """Ask who decides, and why."""
    for option, metavar, text in (("--reason", "TEXT", "Why"), ("--actor", "NAME", "Who decides")):
        command = click.option(
            option, required=True, metavar=metavar, callback=_said, help=f"{text}, for the audit."
        )(command)  # fmt: skip
    return command


def _said(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("must not be empty")
    return value


@click.command()
@click.option(
    "--config", "path", cls=Once, type=click.Path(path_type=Path), help="The relay's TOML file, with --source."
)
@click.option("--source", cls=Once, metavar="NAME", help="A source of the configuration.")
@click.option(
    "--database", cls=Once, envvar="ONCEWARD_DATABASE", show_envvar=True, metavar="URL", callback=checked_url,
    help="Instead of --config and --source: the source's database.",
)  # fmt: skip
@click.option(
    "--since",
    type=moment,
    required=True,
    metavar="TIME",
    help="From when on: 2026-05-01T12:00:00Z, or 2h for two hours ago.",
)
@click.option("--until", type=moment, metavar="TIME", help="Up to when, without that moment itself. Default: now.")
@click.option("--topic", cls=Once, help="Of this topic only.")
@click.option("--key", cls=Once, type=key_bytes, metavar="KEY", help=r"Of this key only: text, or \x6b31.")
@decision
@click.option("--apply", "apply_", is_flag=True, help="Do it. Without this nothing is changed.")
@json_option
def replay(
    path: Path | None, source: str | None, database: str | None, since: datetime | int, until: datetime | int | None,
    topic: str | None, key: bytes | None, actor: str, reason: str, *, apply_: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show which messages would be sent again; with --apply, send them.

    Those that were written in a time and were sent go again under their ids, in the order of their keys, behind what
    waits; inboxes absorb those they know. What waits or is held is left alone. How far back it goes is set with
    `onceward relay keep`. The role needs onceward_console.
    """
    url = _database(path, source, database)
    which = {**_moment("since", since), **_moment("until", until), "topic": topic, "key": key}
    if apply_:
        done = decide(url, "replay", {**which, "actor": actor, "reason": reason}, LockNotAvailable)
        print_json({"applied": True, **done}) if as_json else click.echo(_done(done))
        return
    with connected(url) as connection:
        row = connection.execute(statement("onceward_relay", "replay_preview"), which).fetchone()
    assert row is not None
    found = row["found"]
    if as_json:
        print_json({"applied": False, **found})
        return
    _show(address(url), found)
    place = [] if path is None else ["--config", str(path), "--source", str(source)]
    command = ["onceward", "relay", "replay", *place, "--since", found["since"], "--until", found["until"]]
    command += [*_narrowed(topic, key), "--actor", actor, "--reason", reason, "--apply"]
    click.echo(inert(_advice(found, shlex.join(command))))


def _database(path: Path | None, source: str | None, database: str | None) -> str:
    """Return the URL of the database that was meant."""
    if path is None and source is None and database:
        return database
    if path is None or source is None or given("database"):
        raise click.UsageError("give either --config and --source, or --database")
    known = {each.name: each for each in loaded(path).source}
    if source not in known:
        raise click.BadParameter(f"{path} has no source {source}; it has {', '.join(known)}", param_hint="--source")
    try:
        checked = checked_url(click.get_current_context(), click.Option(["--source"]), known[source].conninfo)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    assert checked is not None
    return checked


def _moment(name: str, value: datetime | int | None) -> dict[str, datetime | int | None]:
    ago = isinstance(value, int)
    return {name: None if ago else value, f"{name}_ago": value if ago else None}


def _narrowed(topic: str | None, key: bytes | None) -> list[str]:
    of_topic = [] if topic is None else ["--topic", topic]
    return of_topic if key is None else [*of_topic, "--key", f"\\x{key.hex()}"]


def _show(where: str, found: dict[str, Any]) -> None:
    click.echo(inert(f"{where}: written from {found['since']} up to {found['until']}"))
    if found["halted"]:
        click.echo("  HALTED: reconcile the source first (onceward relay reconcile)")
    if not found["complete"]:
        since, kept = found["replayable_since"], found["keep_for"]
        click.echo(f"  what was written before {since} may be gone: messages can be sent again from then on")
        click.echo(f"  the outbox keeps what is settled for {kept} s at least; onceward relay keep changes that")
    click.echo()
    rows = [
        (topic["topic"], topic["messages"], topic["bytes"], topic["oldest"] or "", topic["newest"] or "",
         topic["waiting"], topic["set_aside"])
        for topic in found["topics"]
    ]  # fmt: skip
    headings = ("topic", "to send again", "bytes", "oldest", "newest", "wait", "set aside")
    print_table(headings, rows, "nothing was written then, or it is gone")
    click.echo()


def _advice(found: dict[str, Any], command: str) -> str:
    if found["halted"] or not found["complete"] or not found["messages"]:
        return "Nothing was changed, and with --apply nothing would be."
    return (
        f"Nothing was changed. With --apply {found['messages']:,} messages, {found['bytes']:,} bytes, go into the"
        f" outbox again, behind what waits there.\nIf that is right:  {command}"
    )


def _done(done: dict[str, Any]) -> str:
    return f"{done['sent_again']:,} messages will be sent again under their ids. Audit entry {done['audit']}."


@click.command()
@database_option
@click.option(
    "--for", "seconds", type=span, required=True, metavar="SPAN", help="90s, 30m, 24h, 7d; 0s: no longer than need be."
)
@decision
def keep(database: str, seconds: int, actor: str, reason: str) -> None:
    """Set how long the outbox keeps messages that were sent, so that they can be sent again.

    It counts from now on: nothing is promised of what was written before. The outbox then holds what is written in up
    to 5/3 of that time. The role needs onceward_console.
    """
    setting = {"seconds": seconds, "actor": actor, "reason": reason}
    with connected(database, writing=True) as connection:
        connection.execute(statement("onceward_relay", "keep"), setting)
    click.echo(f"{address(database)}: messages are kept for {seconds:,} s from now on")
